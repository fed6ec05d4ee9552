// The style sheet of a report.  Colours of series are those of src/plot/colormap.h; on dark paper they are lighter.
// Widths: a column of text, figures side by side where there is room, one below the other on a phone; tables scroll in
// their own box.  Paper: black on white, nothing cut.
#include "report/page.h"

const char *const report_style[] = {
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c1d21;--soft:#5b5f68;--line:#dcdee3;--card:#f5f6f8;"
    "--hover:rgba(20,30,50,.09);--tint:0,114,178;--warn:#b3261e;--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b8589a;"
    "--c4:#b97c00;--c5:#2f8fc4;--c6:#5a5a5a}\n",
    "@media screen and (prefers-color-scheme:dark){:root{--paper:#15171b;--ink:#e7e8eb;--soft:#a3a8b2;--line:#343841;"
    "--card:#1d2026;--hover:rgba(220,230,255,.13);--tint:86,180,233;--warn:#ff8a7a;--c0:#56b4e9;--c1:#ff8c42;"
    "--c2:#2fc79a;--c3:#e29ac8;--c4:#f0b93a;--c5:#8fd0f5;--c6:#b5b8bf}}\n",
    "*{box-sizing:border-box}\n",
    "html{-webkit-text-size-adjust:100%;text-size-adjust:100%;scroll-behavior:smooth}\n",
    "body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,"
    "\"Noto Sans\",\"DejaVu Sans\",sans-serif;font-variant-numeric:tabular-nums;overflow-wrap:break-word}\n",
    "main,header,footer{max-width:70rem;margin:0 auto;padding:0 1.25rem}\n",
    "header{padding-top:2.25rem}\n",
    "h1{font-size:1.75rem;line-height:1.2;letter-spacing:-.015em;margin:0 0 .35rem;text-wrap:balance}\n",
    "h2{font-size:1.25rem;line-height:1.25;letter-spacing:-.01em;margin:0 0 .3rem}\n",
    "section{border-top:1px solid var(--line);margin-top:2.5rem;padding-top:1.4rem}\n",
    "p{margin:.35rem 0 .8rem;max-width:46rem}\n",
    ".soft,figcaption,.caption,footer{color:var(--soft)}\n",
    ".soft{font-size:.9rem}\n",
    "nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0 0;font-size:.9rem}\n",
    "a{color:var(--c0);text-decoration-thickness:1px;text-underline-offset:.18em}\n",
    "a:focus-visible{outline:2px solid var(--c0);outline-offset:3px}\n",
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,12.5rem),1fr));gap:.75rem;"
    "margin:1.4rem 0 0}\n",
    ".tile{background:var(--card);border-radius:.5rem;padding:.8rem 1rem .85rem}\n",
    ".tile b{display:block;font-size:1.45rem;line-height:1.2;font-weight:600;letter-spacing:-.01em;margin:.1rem 0}\n",
    ".tile span{display:block;font-size:.82rem;line-height:1.35;color:var(--soft)}\n",
    ".verdict{background:var(--card);border-left:4px solid var(--c0);border-radius:.25rem;padding:.7rem 1rem;"
    "max-width:none}\n",
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));gap:1.1rem 1.5rem;"
    "margin:1rem 0}\n",
    "figure{margin:0;min-width:0;break-inside:avoid}\n",
    "figcaption{font-size:.9rem;line-height:1.35;margin:0 0 .2rem}\n",
    "figcaption b{color:var(--ink);font-weight:600}\n",
    "svg{display:block;width:100%;height:auto;overflow:visible}\n",
    "svg text{font-size:11px;fill:var(--soft)}\n",
    "svg .end{text-anchor:end}svg .mid{text-anchor:middle}svg .small{font-size:10px}svg .unit{font-size:10.5px}\n",
    ".grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}\n",
    ".now{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}.limit{stroke:var(--warn);stroke-width:1.2}\n",
    "path{fill:none;stroke-linejoin:round;stroke-linecap:round}\n",
    ".history{stroke:var(--soft);stroke-width:1.4}.truth{stroke:var(--ink);stroke-width:1.6}\n",
    ".median{stroke:var(--c0);stroke-width:2.1}\n",
    ".band90{fill:var(--c0);fill-opacity:.18}.band50{fill:var(--c0);fill-opacity:.32}\n",
    ".line{stroke-width:1.4}.strong{stroke-width:2.8}.dashed{stroke-dasharray:5 3}\n",
    ".c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}"
    ".c5{stroke:var(--c5)}.c6{stroke:var(--c6)}\n",
    ".hit rect{fill:transparent}.hit circle{fill:var(--c0);opacity:0}.hit:hover rect{fill:var(--hover)}"
    ".hit:hover circle,.hit:hover .tip,.cell:hover+.tip{opacity:1}\n",
    "svg .tip{opacity:0;fill:var(--ink);font-size:11.5px;font-weight:600;pointer-events:none}\n",
    ".cell{stroke:var(--paper);stroke-width:.5}.cell:hover{stroke:var(--ink);stroke-width:1.6}\n",
    ".hole{fill:var(--warn);opacity:.2}.mark{fill:var(--warn)}\n",
    ".legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;font-size:.85rem;color:var(--soft);margin:.6rem 0 .4rem;"
    "padding:0;list-style:none}\n",
    ".legend svg{display:inline-block;width:26px;height:12px;vertical-align:-1px;margin-right:.4rem}\n",
    ".caption{font-size:.9rem;margin:1.3rem 0 .3rem;max-width:none;break-after:avoid}\n",
    ".scroll{overflow-x:auto;margin:0 0 1rem}.scroll:focus-visible{outline:2px solid var(--c0)}\n",
    "table{border-collapse:collapse;font-size:.88rem;line-height:1.35;min-width:100%}\n",
    "th,td{padding:.32rem .7rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}\n",
    "th{font-weight:600;vertical-align:bottom;white-space:normal;border-bottom:1px solid var(--soft)}\n",
    "td.w,th.w{text-align:left}td.w{max-width:22rem;overflow:hidden;text-overflow:ellipsis}\n",
    "th:first-child,td:first-child{padding-left:0}\n",
    "tr.strong td{font-weight:600}\n",
    "tbody tr:hover td{background:var(--card)}\n",
    ".range{width:120px;min-width:120px;height:14px;display:inline-block;vertical-align:-2px}\n",
    ".range .bar{fill:var(--c0);fill-opacity:.4}.range .tick{fill:var(--ink)}\n",
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.2rem;margin:.8rem 0;font-size:.92rem}\n",
    "dt{color:var(--soft)}dd{margin:0;min-width:0}\n",
    "pre{background:var(--card);border-radius:.4rem;padding:.8rem 1rem;overflow-x:auto;font-size:.78rem;"
    "line-height:1.45;white-space:pre-wrap;overflow-wrap:anywhere}\n",
    "footer{padding-top:2rem;padding-bottom:3rem;font-size:.85rem}\n",
    ".narrow{display:none}\n",
    "@media(max-width:40rem){main,header,footer{padding-left:.9rem;padding-right:.9rem}h1{font-size:1.4rem}"
    ".wide{display:none}.narrow{display:block}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}"
    "th:first-child,td:first-child{position:sticky;left:0;background:var(--paper)}"
    ".tiles{grid-template-columns:1fr 1fr;gap:.5rem}.tile{padding:.6rem .7rem}.tile b{font-size:1.15rem}}\n",
    "@media print{@page{margin:14mm}body{font-size:10pt}header{padding-top:0}nav,.screen{display:none}"
    "main,header,footer{max-width:none;padding:0}.scroll{overflow:visible}table{font-size:7.5pt}"
    "th,td{padding:.15rem .3rem}tr,.tile,.verdict,figure{break-inside:avoid}"
    "h2,.legend,section>.soft{break-after:avoid}"
    ".charts{grid-template-columns:repeat(3,1fr);gap:.8rem}.tiles{grid-template-columns:repeat(3,1fr)}"
    "section{margin-top:1.2rem;padding-top:.8rem}pre{font-size:6.5pt}.range{width:70px;min-width:70px}"
    "*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}\n",
    NULL};
