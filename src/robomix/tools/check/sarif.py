"""Findings as SARIF 2.1.0, the form in which code hosts and editors take the results of static analysis.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from pathlib import Path
from typing import Any

from robomix.tools.check.finding import Finding, Verdict
from robomix.tools.check.reports import Reports

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Verdict.FAIL: "error", Verdict.WARN: "warning", Verdict.INFO: "note", Verdict.UNVERIFIED: "note"}


def as_sarif(reports: Reports, version: str) -> dict[str, Any]:
    """One run of robomix of that `version`, with a rule for each defect that was found, as plain data."""
    findings = reports.findings
    rules = {finding.defect.id: finding.defect for finding in findings}
    places = {id: place for place, id in enumerate(rules)}
    driver = {
        "name": "robomix",
        "version": version,
        "rules": [
            {
                "id": id,
                "shortDescription": {"text": defect.title},
                "fullDescription": {"text": defect.consequence},
                "defaultConfiguration": {"level": _LEVELS[defect.verdict]},
            }
            for id, defect in rules.items()
        ],
    }
    results = [_result(finding, places[finding.defect.id]) for finding in findings]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    file = Path(finding.dataset, finding.file or "").absolute()
    record = finding.record()
    names = ("verdict", "dataset", "key", "episodes", "expected", "repair", "repair_flag")
    return {
        "ruleId": finding.defect.id,
        "ruleIndex": rule,
        "level": _LEVELS[finding.level],
        "message": {"text": f"{finding.found} (expected: {finding.expected})"},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": file.as_uri()}}}],
        "properties": {name: record[name] for name in names},
    }
