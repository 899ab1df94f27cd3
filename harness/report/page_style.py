"""The style sheet of the page, in Python so that it is installed with the package."""

CSS = """\
:root { --ink: #1d2329; --soft: #5b6670; --line: #d9dee3; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: #fff; font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 24px 20px 80px; }
h1 { font-size: 28px; margin: 8px 0 4px; }
h2 { font-size: 21px; margin: 40px 0 10px; padding-bottom: 6px; border-bottom: 2px solid var(--line); }
h3 { font-size: 16px; margin: 28px 0 8px; }
a { color: var(--accent); }
.sub, .files, .notes, summary { color: var(--soft); font-size: 13.5px; }
.files a { margin-right: 10px; white-space: nowrap; }
.banner { background: #fff4d6; border-left: 5px solid #e69f00; padding: 10px 14px; font-weight: 600; }
.scroll { overflow-x: auto; }
.scroll.long { max-height: 460px; overflow-y: auto; border: 1px solid var(--line); }
.scroll.long thead th { position: sticky; top: 0; background: #fff; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); vertical-align: bottom; }
th { border-bottom: 2px solid var(--line); }
th, td { padding: 6px 12px 6px 0; }
td { border-bottom: 1px solid #edf0f2; vertical-align: top; }
.num { text-align: right; white-space: nowrap; }
.short { white-space: nowrap; }
.wide { min-width: 420px; font-size: 13px; }
th.num { white-space: normal; }
tbody tr:hover { background: #f5f8fa; }
sup { color: var(--accent); margin-left: 2px; }
details { margin: 8px 0; }
summary { cursor: pointer; }
pre { background: #f6f8f9; border: 1px solid var(--line); padding: 14px; overflow-x: auto; font-size: 13px; }
.plot { width: 100%; min-height: 120px; }
@media print { details { display: none; } main { max-width: none; } }
"""
