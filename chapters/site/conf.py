"""How Sphinx builds the site; chapters/site/build.py writes the sources and calls it."""

project = "minidet"
author = "minidet contributors"
copyright = "minidet contributors, MIT licence"
html_title = "minidet"
html_theme = "furo"
extensions = ["myst_nb", "sphinx.ext.mathjax"]
exclude_patterns = ["downloads"]
language = "en"

# The outputs are those that the chapters were committed with.
nb_execution_mode = "off"
nb_render_markdown_format = "gfm"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
myst_update_mathjax = False

# build.py copies MathJax 3 from the package django-static-mathjax, so that formulas need no network.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config: dict[str, dict[str, object]] = {"options": {"enableMenu": False}}

html_static_path = ["site.css", "site.js"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"
