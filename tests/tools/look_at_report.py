#!/usr/bin/env python3
"""Opens the page of `lead report` in headless Chromium and looks at what is rendered.

    python3 -m venv v && v/bin/pip install playwright && apt-get install chromium
    v/bin/python tests/tools/look_at_report.py REPORT.html OUT_DIR [--chromium /usr/bin/chromium]

Checks: no request but the page itself, no message on the console, no script; every section has a heading that is seen;
nothing is wider than the window at 1280 and 390 pixels; no text of a chart leaves its chart by much; every chart has
titles to point at.  Writes light.png, dark.png, phone.png and print.pdf to OUT_DIR.  Exit 1 when a check fails.
"""
import argparse
import pathlib
import sys

from playwright.sync_api import sync_playwright

WIDER = """() => document.documentElement.scrollWidth - window.innerWidth"""
HEADINGS = """() => [...document.querySelectorAll('section')].map(s => {
    const h = s.querySelector('h2'), r = h ? h.getBoundingClientRect() : {width: 0, height: 0};
    return [s.id, h ? h.innerText : '', r.width * r.height];
})"""
OUTSIDE = """() => [...document.querySelectorAll('figure svg text:not(.tip), .wide svg text:not(.tip), .narrow svg text:not(.tip)')].filter(t => {
    const r = t.getBoundingClientRect(), s = t.ownerSVGElement.getBoundingClientRect();
    return r.width && (r.left < s.left - 6 || r.right > s.right + 6 || r.bottom > s.bottom + 6 || r.top < s.top - 6);
}).map(t => t.textContent)"""
TOUCHING = """() => { let bad = [];
    for (const s of document.querySelectorAll('figure svg, .wide svg, .narrow svg')) {
        const box = [...s.querySelectorAll('text:not(.tip)')].map(t => [t.textContent, t.getBoundingClientRect()])
            .filter(b => b[1].width);
        for (let i = 0; i < box.length; i++) for (let j = 0; j < i; j++) {
            const a = box[i][1], b = box[j][1];
            const w = Math.min(a.right, b.right) - Math.max(a.left, b.left);
            const h = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
            if (w > 2 && h > 4) bad.push(box[i][0] + ' / ' + box[j][0]);
        }
    }
    return bad;
}"""
UNTITLED = """() => [...document.querySelectorAll('figure svg')].filter(s => !s.querySelector('title')).length"""
SMALL = """() => [...document.querySelectorAll('figure svg text:not(.tip), .wide svg text:not(.tip), .narrow svg text:not(.tip)')].map(t =>
    t.getBoundingClientRect()).filter(r => r.width && Math.max(r.width, r.height) < 9).length"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--only", help="light, dark or phone")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    o = parser.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    failed = 0

    def check(ok, what):
        nonlocal failed
        print("ok    " if ok else "WRONG ", what)
        failed += not ok

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=o.chromium, args=["--no-sandbox"])
        for name, width, scheme in (("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")):
            if o.only and o.only != name:
                continue
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                          device_scale_factor=1 if width > 500 else 2)
            page = context.new_page()
            page.set_default_timeout(300000)
            requests, messages = [], []
            page.on("request", lambda r: requests.append(r.url))
            page.on("console", lambda m: messages.append(m.text))
            page.on("pageerror", lambda e: messages.append(str(e)))
            page.goto(o.page.resolve().as_uri())
            check(len(requests) == 1, f"{name}: one request: {requests[:3]}")
            check(not messages, f"{name}: a silent console: {messages[:3]}")
            check(not page.query_selector("script"), f"{name}: no script")
            headings = page.evaluate(HEADINGS)
            check(headings and all(h[1].strip() and h[2] > 0 for h in headings),
                  f"{name}: headings {[h[1] for h in headings]}")
            wider = page.evaluate(WIDER)
            check(wider <= 0, f"{name}: {wider} pixels wider than the window")
            outside = page.evaluate(OUTSIDE)
            check(not outside, f"{name}: texts outside their chart: {outside[:6]}")
            touching = page.evaluate(TOUCHING)
            check(not touching, f"{name}: {len(touching)} texts on top of others: {touching[:6]}")
            check(page.evaluate(UNTITLED) == 0, f"{name}: every chart has something to point at")
            check(page.evaluate(SMALL) == 0, f"{name}: {page.evaluate(SMALL)} texts of charts too small")
            page.screenshot(path=o.out / f"{name}.png", full_page=True)
            if name == "light":
                print(page.inner_text("header"))
                page.pdf(path=o.out / "print.pdf", format="A4", print_background=True)
            context.close()
        browser.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
