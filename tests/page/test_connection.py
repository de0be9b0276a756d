"""The observer goes and comes back: the page says so, and is itself again."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


def test_the_connection_is_lost_and_regained(open_page, observer, workload):
    program = workload()
    page = open_page(expected="Failed to load resource")
    page.get_by_role("searchbox").fill(f"pid={program.pid}")
    name = page.get_by_role("link", name=program.name, exact=True)
    expect(name).to_be_visible()
    observer.stop()
    expect(page.locator("#connection")).to_contain_text("Connection lost")
    expect(name).to_be_visible()
    # What was last known can be read as well as before.
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    observer.start()
    expect(page.locator("#connection")).to_contain_text("Live")
    program.run("hold 33")
    row = page.locator("tbody tr").filter(has=name)
    expect(row.locator('[data-column="goroutines"]')).to_have_text(str(program.report()["goroutines"]))
