"""One observer and one browser for all tests; a page for each."""

import os
import threading

import pytest
from playwright.sync_api import expect, sync_playwright
from support import Observer, Workload, go1, until


# A browser beside the programs that it shows, on a busy machine.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="session")
def observer():
    observer = Observer()
    yield observer
    observer.stop()


@pytest.fixture(scope="session", autouse=True)
def leak(observer):
    """A program whose goroutines do not end: from the beginning, since that shows only in time."""
    program = Workload(go1(25))
    over = threading.Event()

    def grow():
        while not over.wait(0.4):
            program.run("hold 5")

    thread = threading.Thread(target=grow)
    thread.start()
    yield program
    over.set()
    thread.join()
    program.stop()


@pytest.fixture
def workload(observer):
    """Starts workloads that the observer knows, and ends them."""
    started = []

    def start(*args, **kwargs):
        workload = Workload(*args, **kwargs)
        started.append(workload)
        until(f"{workload.name} is observed", lambda: covered(observer.row(workload.pid)))
        return workload

    yield start
    for workload in started:
        workload.stop()


def covered(row):
    return row is not None and row["goroutines"] is not None and row["covered"] == row["coverable"]


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        # As root Chromium has no sandbox of its own; it shows nothing but the observer's page.
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("OBSERVER_CHROMIUM") or None, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, observer):
    """Opens the page, or a part of it; whatever the browser complains of is a failure."""
    contexts = []
    complaints = []

    def opened(path="", width=1280, height=800, theme="light", expected=None, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))

        def said(message):
            known = expected is not None and expected in message.text
            if message.type in ("error", "warning") and not known:
                complaints.append(message.text)

        page.on("console", said)
        page.on(
            "request",
            lambda request: None if request.url.startswith(observer.url) else complaints.append(request.url),
        )
        page.goto(observer.url + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
