"""One self-contained HTML file with pictures: what a mixture, a dataset or a list of findings looks like.

A page is plain data (`blocks`), rendered by templates that escape every text of a dataset. It needs no network, no
server and no other file; its scripts only sort tables. Charts are SVG whose colours follow the page, light or dark.
"""
