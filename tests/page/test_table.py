"""The table: figures, order, filter, themes and widths, strangers' names, keyboard, accessibility."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from support import GO, NEWEST, go1


def row_of(page, pid):
    return page.locator("tbody tr[data-key]").filter(has=page.get_by_role("cell", name=str(pid), exact=True))


def cell(page, pid, column):
    return row_of(page, pid).locator(f'td[data-column="{column}"]')


def values(page, column):
    return page.locator(f'tbody td[data-column="{column}"]').all_inner_texts()


def test_figures_are_the_programs_own_and_change_with_it(open_page, workload):
    program = workload()
    program.run("hold 100")
    page = open_page()
    # It says how many it has; while it reports, nothing else goes on in it.
    expect(cell(page, program.pid, "goroutines")).to_have_text(str(program.report()["goroutines"]))
    program.run("hold 150")
    live = program.report()["goroutines"]
    assert live > 250
    expect(cell(page, program.pid, "goroutines")).to_have_text(str(live))
    program.run("burst 2000 1500")
    program.run("release")
    expect(cell(page, program.pid, "goroutines")).to_have_text(str(program.report()["goroutines"]))
    expect(cell(page, program.pid, "go")).to_have_text(GO)


def test_a_process_that_ends_leaves_the_table(open_page, workload):
    page = open_page()
    program = workload()
    expect(row_of(page, program.pid)).to_have_count(1)
    program.stop()
    expect(row_of(page, program.pid)).to_have_count(0, timeout=10_000)


def test_every_column_sorts_both_ways(open_page, workload):
    for version, held in [(go1(19), 30), (go1(22), 10), (NEWEST, 20)]:
        workload(version).run(f"hold {held}")
    page = open_page(width=1800)
    expect(page.locator("tbody tr[data-key]")).not_to_have_count(0)
    heads = page.locator("thead th")
    assert heads.count() >= 14
    for at in range(heads.count()):
        head = heads.nth(at)
        head.get_by_role("button").click()
        first = head.get_attribute("aria-sort")
        head.get_by_role("button").click()
        assert {first, head.get_attribute("aria-sort")} == {"ascending", "descending"}
        assert page.locator("th[aria-sort]").count() == 1
    button = page.locator('th[data-column="goroutines"] button')
    button.click()
    numbers = [int(text.replace("\u2009", "")) for text in values(page, "goroutines")]
    assert numbers == sorted(numbers, reverse=True) and len(set(numbers)) >= 3
    button.click()
    numbers = [int(text.replace("\u2009", "")) for text in values(page, "goroutines")]
    assert numbers == sorted(numbers)
    page.locator('th[data-column="go"] button').click()
    shown = [tuple(int(part) for part in text.split(".")) for text in values(page, "go")]
    assert shown == sorted(shown)


def test_rows_are_filtered_by_words_and_by_columns(open_page, workload):
    few, many = workload(go1(22)), workload(NEWEST)
    many.run("hold 500")
    page = open_page()
    filtering = page.get_by_role("searchbox")
    for text, shown, hidden in [
        (NEWEST, many, few),
        ("goroutines>400", many, few),
        ("goroutines<=400 workload", few, many),
        ("go:1.22 workload", few, many),
        (f"pid={few.pid}", few, many),
    ]:
        filtering.fill(text)
        expect(row_of(page, shown.pid)).to_have_count(1)
        expect(row_of(page, hidden.pid)).to_have_count(0)
    # The address leads to what is seen.
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value(f"pid={few.pid}")
    expect(row_of(page, many.pid)).to_have_count(0)
    filtering.fill("goroutines>many")
    expect(page.locator("#shown")).to_contain_text("Not understood: goroutines>many")
    filtering.fill("nothing-is-called-this")
    expect(page.get_by_text("Nothing matches the filter.")).to_be_visible()


def test_a_leak_is_a_reason_and_is_said(open_page, workload, leak):
    calm = workload()
    page = open_page()
    page.get_by_role("checkbox", name="Needs attention").check()
    expect(row_of(page, leak.pid)).to_have_count(1, timeout=40_000)
    expect(row_of(page, calm.pid)).to_have_count(0)
    expect(cell(page, leak.pid, "attention")).to_have_text("goroutines grow")
    expect(page.locator("#summary")).to_contain_text("attention")
    row_of(page, leak.pid).get_by_role("link").click()
    expect(page.get_by_role("list", name="Needs attention")).to_contain_text("none is created faster")


def test_names_of_strangers_are_text(open_page, workload, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    path = tmp_path / name
    shutil.copy(workload().path, path)
    program = workload(path=path, arguments=["<script>alert(2)</script>", "x" * 4096])
    page = open_page()
    link = row_of(page, program.pid).get_by_role("link")
    expect(link).to_have_text(name)
    link.click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    page.get_by_role("button", name="Look now").click()
    expect(page.get_by_role("button", name="Look again")).to_be_visible()
    assert page.locator("img, main script, iframe").count() == 0


def first_event(observer, path):
    """What the page gets when it begins to listen."""
    command = ["curl", "--silent", "--no-buffer", "--max-time", "10", observer.url + path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as curl:
        name, data = [curl.stdout.readline().rstrip("\n") for _ in range(2)]
        curl.kill()
    return name, json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize("width", [360, 1920])
def test_texts_of_strangers_pods_are_text(open_page, observer, workload, width):
    """As on a cluster, where a pod may say of itself what it likes: the observer's own answer, with pods in it."""
    html = "<img src=x onerror=alert(1)>"
    program = workload()
    hostile = {
        "namespace": html,
        "pod": f"{html} " + "x" * 4096,
        "container": "<script>alert(2)</script>",
        "workload": f"Deployment/{html}\n---\nkind: Secret",
    }
    row_id = observer.row(program.pid)["id"]

    def changed(path):
        name, data = first_event(observer, path)
        data["kubernetes"] = True
        for row in [*data.get("rows", []), *([data["row"]] if "row" in data else [])]:
            if row["id"] == row_id:
                row.update(hostile)
        return f"{name}\ndata: {json.dumps(data)}\n\n"

    def answer(route):
        path = route.request.url.removeprefix(observer.url)
        route.fulfill(status=200, content_type="text/event-stream", body=changed(path))

    page = open_page(width=width)
    page.route("**/api/v1/events*", answer)
    page.goto(observer.url)
    page.reload()
    row = page.locator("tbody tr[data-key]").filter(has_text=html)
    expect(row).to_have_count(1)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.goto(f"{observer.url}#/c/{row_id}")
    expect(page.get_by_role("heading", name=html)).to_be_visible()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.get_by_role("button", name="HPA").first.click()
    expect(page.get_by_text("No HPA: its workload has no name of Kubernetes")).to_be_visible()
    assert page.locator("img, main script, iframe").count() == 0
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_a_program_that_only_collects_is_a_reason(open_page, workload):
    program = workload()
    page = open_page()
    over = threading.Event()

    def collect():
        while not over.is_set():
            program.run("gc 200")

    thread = threading.Thread(target=collect)
    thread.start()
    try:
        expect(cell(page, program.pid, "attention")).to_contain_text("pauses", timeout=40_000)
    finally:
        over.set()
        thread.join()


def test_nothing_is_loaded_from_elsewhere_nor_inline(open_page, observer):
    page = open_page(expected="requires 'TrustedHTML'")
    expect(page.locator("#connection")).to_contain_text("Live")
    html = observer.get("")
    assert "style=" not in html and "<style" not in html and "onclick" not in html
    blocked = page.evaluate(
        """() => { const one = document.createElement('div');
           try { one.innerHTML = '<b>x</b>'; return 'let through'; } catch { return 'blocked'; } }"""
    )
    assert blocked == "blocked"


def test_keys_alone_do(open_page, workload):
    program = workload()
    page = open_page()
    expect(row_of(page, program.pid)).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.type(f"pid={program.pid}")
    expect(page.locator("tbody tr[data-key]")).to_have_count(1)
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('tbody a')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=program.name)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 900, 1920])
def test_themes_and_widths(open_page, workload, theme, width):
    program = workload()
    program.run("hold 40")
    program.run("gc 2")
    page = open_page(width=width, theme=theme)
    shots = Path(os.environ.get("OBSERVER_SHOTS", "/nowhere"))
    for part in ["table", "view"]:
        if part == "view":
            page.get_by_role("searchbox").fill(f"{program.name}")
            page.locator("tbody a").first.click()
            expect(page.locator(".tiles dd").first).not_to_have_text("")
            page.get_by_role("button", name="Look now").click()
            expect(page.get_by_role("button", name="Look again")).to_be_visible()
        else:
            expect(page.locator("tbody tr[data-key]")).not_to_have_count(0)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        if shots.is_dir():
            page.screenshot(path=shots / f"{part}-{theme}-{width}.png", full_page=True)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    brightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (brightness > 128) == (theme == "light")
    other = "dark" if theme == "light" else "light"
    page.get_by_label("Theme").select_option(other)
    now = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (now > 128) == (other == "light")
