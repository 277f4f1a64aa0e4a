from mobiledet.drawing.markup import Markup, join, tag


def test_text_and_attributes_are_escaped() -> None:
    made = tag("p", '<b>&"', tag("i", "x"), title="\"'><script>")
    assert made == '<p title="&quot;&#x27;&gt;&lt;script&gt;">&lt;b&gt;&amp;&quot;<i>x</i></p>'


def test_attributes() -> None:
    made = tag("rect", class_="a", data_value=1, x=1.23456, y=2.0, hidden=None, aria_label="n")
    assert made == '<rect class="a" data-value="1" x="1.23" y="2" aria-label="n"></rect>'
    assert tag("meta", name="viewport") == '<meta name="viewport">'


def test_join() -> None:
    assert join("<", Markup("<br>")) == "&lt;<br>"
    assert isinstance(join(), Markup)
