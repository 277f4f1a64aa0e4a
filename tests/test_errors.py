from mobiledet.errors import MAX_LENGTH, UserError


def test_a_message_is_one_printable_line_of_some_length_whatever_a_file_says() -> None:
    assert str(UserError("two\nlines\r\x1b[2J \u202e é")) == "two lines  [2J   é"
    long = str(UserError("a" * 10_000 + "; do this"))
    assert long.endswith("; do this")
    assert len(long) < MAX_LENGTH + 10
