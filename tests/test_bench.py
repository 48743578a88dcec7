"""The table and the page of `make bench`. What it measures is judged by its own run, never here."""

from bench.figures import (
    HEAD,
    LEFT_OUT,
    MET,
    MISSED,
    Section,
    as_markdown,
    as_text,
    at_least,
    at_most,
    left_out,
    told,
)
from bench.load import Plan, is_whole, post
from bench.page import page
from bench.sampled import OTHER, part_of

SECTIONS = [
    Section(
        "Intake",
        [
            at_most("p99 at 200/s", 20, 50, " ms"),
            at_least("ours ÷ Node", 0.9, 1.0, " ×"),
            told("rate", 1101, "/s"),
            left_out("Node", "no Node on this machine"),
        ],
        ("Side by side.",),
    )
]


def test_a_figure_is_judged_by_its_target():
    verdicts = [figure.verdict for figure in SECTIONS[0].figures]
    assert verdicts == [MET, MISSED, "reported", LEFT_OUT]
    assert SECTIONS[0].figures[0].ratio == "0.40"


def test_what_never_happened_is_missed_and_says_so():
    figure = at_most("p95", float("inf"), 1, " s")
    assert (figure.measured, figure.verdict) == ("never s", MISSED)


def test_the_table_has_a_line_for_every_figure_and_aligned_columns():
    lines = as_text(SECTIONS).splitlines()
    assert lines[0].split() == list(HEAD)
    rows = [line for line in lines if line.startswith(("p99", "ours", "rate", "Node"))]
    assert len(rows) == len(SECTIONS[0].figures)
    column = lines[0].index("target")
    assert all(row[column - 1] == " " and row[column] != " " for row in rows)


def test_the_page_is_written_from_the_same_sections_and_lists_what_is_not_met():
    text = page(SECTIONS, "quick")
    assert as_markdown(SECTIONS) in text
    assert "## Not met\n\n- Intake: ours ÷ Node, 0.90 × (target ≥ 1.00 ×)" in text


def test_a_page_without_a_miss_says_that():
    assert "every target of this run was met" in page([Section("Intake", SECTIONS[0].figures[:1])], "quick")


def test_a_prebuilt_webhook_is_a_whole_request():
    request = post("/webhooks/tiktok", "127.0.0.1", [("Authorization", "abc")], b"{}")
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /webhooks/tiktok HTTP/1.1\r\n")
    assert b"Content-Length: 2" in head
    assert body == b"{}"
    assert Plan("127.0.0.1", 1, [request]).rate == 0


def test_an_answer_is_read_to_its_end():
    assert not is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{")
    assert is_whole(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert not is_whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert is_whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


def test_cpu_time_without_a_known_frame_is_the_rest():
    assert part_of(None) == OTHER
