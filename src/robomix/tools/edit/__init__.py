"""New datasets out of old ones: what each tool changes, as functions from content to content.

None of them reads or writes a row or a frame; `execute` does, once, at the end. A source is never written to.
"""
