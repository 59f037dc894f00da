"""The pages of the documents: the Markdown files as they lie in the checkout, so that one link serves both. `make site` builds them."""

project = "tokenbooks"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
root_doc = "docs/site/index"
include_patterns = [
    "docs/site/index.rst",
    "docs/*.md",
    "docs/methods/*.md",
    "pipelines/sources/*/README.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".venv", "assets", "benchmarks", "build", "data", "sql", "tests"]
html_theme = "furo"
html_title = "tokenbooks"
html_show_sourcelink = False
html_copy_source = False
# Anchors of headings as GitHub makes them.
myst_heading_anchors = 4
# Queries of DuckDB and JSON Lines are more than the highlighter knows; links are what is strict.
suppress_warnings = ["misc.highlighting_failure"]
