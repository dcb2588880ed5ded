"""The guards: whatever a value holds, it stays inside the quotes the flow's author put around it."""

import json
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engine.errors import ExpressionFailed
from engine.expressions import Services, render

NASTY = st.one_of(
    st.text(alphabet=st.characters(blacklist_categories=("Cs",), blacklist_characters="\0")),
    st.text(alphabet="\"'\\`$(){}\n ;|&#!*?<>~=ab-", max_size=30),
    st.sampled_from(["$(id)", "`id`", "'; id; '", '"; id; "', "\\", "a\\", "${HOME}", "!!", '", "evil": "',
    "}}{{ secret('X') }}", "-n", "\r"]),
)  # fmt: skip
SHELLS = [path for name in ("sh", "bash") if (path := shutil.which(name))]
bounded = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Told(list):
    def services(self):
        return Services(warn=self.append)


def shell(template, value, program):
    command = render(template, {"inputs": {"v": value}}, Services(), guard="shell")
    done = subprocess.run([program, "-c", command], capture_output=True, timeout=20, check=False)
    return done.stdout.decode("utf-8", "surrogateescape")


# Every template prints the value between marks, so that no line break at the end is lost.
PLACES = [
    """printf '[%s]' "{{ inputs.v }}" """,
    """printf '[%s]' '{{ inputs.v }}'""",
    """x="a$(printf '%s' "{{ inputs.v }}")"; printf '[%s]' "${x#a}" """,
    """printf '[%s]' "$(printf '%s' '{{ inputs.v }}'; echo .)" | sed '$ s/[.]]$/]/' """,
    """true # {{ inputs.v }}\nprintf '[%s]' '{{ inputs.v }}'""",
    """printf '[%s]' "`printf '%s' '{{ inputs.v }}'; echo .`" | sed '$ s/[.]]$/]/' """,
    """x=`printf '%s' "{{ inputs.v }}"; echo .`; printf '[%s]' "$x" | sed '$ s/[.]]$/]/' """,
]


@pytest.mark.parametrize("program", SHELLS)
@pytest.mark.parametrize("template", PLACES)
@bounded
@given(value=NASTY)
@example(value='"<({')
@example(value='">({"')
def test_a_shell_receives_the_value_literally(program, template, value):
    if "$(" in template and "echo" not in template:
        value = value.rstrip("\n")  # a substitution drops line breaks at the end
    assert shell(template, value, program) == f"[{value}]"


@pytest.mark.parametrize("program", SHELLS)
@bounded
@given(value=NASTY)
def test_a_here_document_holds_the_value_literally(program, value):
    if any(line == "EOF" for line in value.split("\n")):
        return
    assert shell("cat <<EOF\n[{{ inputs.v }}]\nEOF\n", value, program) == f"[{value}]\n"
    assert (
        shell("cat <<'EOF'\n[{{ inputs.v }}]\nEOF\necho \"{{ inputs.v }}\" > /dev/null", value, program)
        == f"[{value}]\n"
    )


# What stands right before the value would mean something together with it.
BEHIND = [
    ("""printf '[%s]' "${{ inputs.v }}" """, "$"),
    ("""printf '[%s]' "\\{{ inputs.v }}" """, "\\"),
    ("""printf '[%s]' "\\\\{{ inputs.v }}" """, "\\"),
    ("""printf '[%s]' "\\${{ inputs.v }}" """, "$"),
    ("""printf '[%s]' "${{ inputs.none }}{{ inputs.v }}" """, "$"),
    ("""printf '[%s]' "\\$({{ inputs.v }})" """, "$("),
    ("cat <<EOF\n[\\{{ inputs.v }}]\nEOF\n", "\\"),
    ("cat <<EOF\n[\\${{ inputs.v }}]\nEOF\n", "$"),
    ("cat <<'EOF'\n[\\{{ inputs.v }}]\nEOF\n", "\\"),
    ("cat <<'EOF'\n[${{ inputs.v }}]\nEOF\n", "$"),
]


@pytest.mark.parametrize("program", SHELLS)
@pytest.mark.parametrize(("template", "before"), BEHIND)
@bounded
@given(value=st.builds("{}{}".format, st.sampled_from("({"), NASTY) | st.just('"; id; "'))
@example(value="(id)")
@example(value="{HOME}")
def test_nothing_before_a_value_opens_its_quotes(program, template, before, value):
    after = ")" if before.endswith("(") else ""
    command = template.replace("{{ inputs.none }}", "{{ '' }}")
    if "EOF" in template and any(line == "EOF" for line in value.split("\n")):
        return
    if before == "$" and value == '"; id; "' and "<<" in template:
        return  # there a quote is a sign like any other
    assert shell(command, value, program).rstrip("\n") == f"[{before}{value}{after}]".rstrip("\n")


@pytest.mark.skipif(not shutil.which("bash"), reason="There is no bash.")
def test_a_backslash_before_a_value_opens_no_quotes_of_bash():
    assert shell("printf '[%s]' $'\\{{ inputs.v }}'", "'; id; '", "bash") == "[\\'; id; ']"


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("cat <<EOF\n${{ inputs.v }}\nEOF\n", "(id)"),
        ('echo "${x:-${{ inputs.v }}}"', "{y:-z"),
        ('x=`echo "\\$${{ inputs.v }}"`', "(id)"),
        ('x=`echo "\\\\{{ inputs.v }}"`', '"; id; "'),
    ],
)
def test_a_value_that_cannot_be_kept_in_its_place_is_refused(template, value):
    with pytest.raises(ExpressionFailed, match="right behind"):
        render(template, {"inputs": {"v": value}}, Services(), guard="shell")


@pytest.mark.parametrize(
    ("template", "value", "found"),
    [
        ('echo "{{ inputs.v }}"', 'a"; $(id) `n', 'echo "a`"; `$(id) ``n"'),
        ('echo "{{ inputs.v }}"', "\u201d; id", 'echo "`\u201d; id"'),
        ("echo '{{ inputs.v }}'", "a'; id; \u2019", "echo 'a''; id; \u2019\u2019'"),
        ('echo "$({{ inputs.v }})"', "1", 'echo "$(1)"'),
        ('echo "$(f "{{ inputs.v }}") {{ inputs.v }}"', '"', 'echo "$(f "`"") `""'),
        ('echo "cost ${{ inputs.v }}"', "(id)", 'echo "cost $`(id)"'),
        ('echo "`${{ inputs.v }}"', "(id)", 'echo "`$(id)"'),
        ('echo "`{{ inputs.v }}"', '"; id', 'echo "```"; id"'),
        ('echo `"{{ inputs.v }}', "1", 'echo `"1'),
        ("echo 1 # it's {{ inputs.v }}\necho '{{ inputs.v }}'", "a\nid", "echo 1 # it's a id\necho 'a\nid'"),
        ("<# it's {{ inputs.v }} #> echo '{{ inputs.v }}'", "#> id", "<# it's # > id #> echo '#> id'"),
        ('$x = @"\n{{ inputs.v }}\n"@', 'a\n"@ $(id)', '$x = @"\na\n`"@ `$(id)\n"@'),
        ('@"\nit\'s\n"@\necho "{{ inputs.v }}"', '"', '@"\nit\'s\n"@\necho "`""'),
        ("$x = @'\n{{ inputs.v }}\n'@", 'it\'s "$x" `', "$x = @'\nit's \"$x\" `\n'@"),
        ("echo {{ inputs.v }}", "a; id", "echo a; id"),
    ],
)
def test_a_value_stays_inside_the_quotes_of_powershell(template, value, found):
    told = Told()
    assert render(template, {"inputs": {"v": value}}, told.services(), guard="powershell") == found
    is_changed = found != template.replace("{{ inputs.v }}", value)
    assert len(told) == (is_changed or template == "echo {{ inputs.v }}")


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("@'\n{{ inputs.v }}\n'@", "a\n'@; id"),
        ("@'\n'{{ inputs.v }}\n'@", "@; id"),
        ('@"\n"{{ inputs.v }}\n"@', "@; id"),
    ],
)
def test_a_value_that_would_end_a_here_string_is_refused(template, value):
    with pytest.raises(ExpressionFailed, match="here-string"):
        render(template, {"inputs": {"v": value}}, Services(), guard="powershell")


def test_a_value_that_would_end_a_here_document_is_refused():
    with pytest.raises(ExpressionFailed, match="EOF"):
        render("cat <<EOF\n{{ inputs.v }}\nEOF", {"inputs": {"v": "a\nEOF\nid"}}, Services(), guard="shell")


@bounded
@given(value=NASTY, other=NASTY)
def test_a_json_document_carries_the_value(value, other):
    template = '{"text": "{{ inputs.v }}", "blocks": [{"a": "<{{ outputs.t.w }}>"}], "n": {{ 1 + 1 }}}'
    found = render(template, {"inputs": {"v": value}, "outputs": {"t": {"w": other}}}, Services(), guard="json")
    assert json.loads(found) == {"text": value, "blocks": [{"a": f"<{other}>"}], "n": 2}


def test_guards_leave_alone_what_works_already_and_tell_when_they_step_in():
    told = Told()
    services, values = told.services(), {"inputs": {"v": "plain", "q": 'say "hi"', "list": [1]}, "vars": {"t": "a\\nb"}}
    assert (
        render('{"a": "{{ inputs.v }}", "b": {{ inputs.list }}}', values, services, guard="json")
        == '{"a": "plain", "b": [1]}'
    )
    # Text of the author's own that is JSON already stays JSON; so does what the author's filters escaped.
    assert json.loads(render('{"a": "{{ vars.t }}"}', values, services, guard="json")) == {"a": "a\nb"}
    assert json.loads(render('{"a": "{{ inputs.q | escapeChar(\'double\') }}"}', values, services, guard="json")) == {
        "a": 'say "hi"'
    }
    assert render("echo '{{ inputs.v }}' {{ inputs.v }}", values, services, guard="shell") == "echo 'plain' plain"
    assert render('no document: "{{ inputs.q }}"', values, services, guard="json") == 'no document: "say "hi""'
    assert told == []
    assert json.loads(render('{"a": "{{ inputs.q }}"}', values, services, guard="json")) == {"a": 'say "hi"'}
    assert render('echo "{{ inputs.q }}"', values, services, guard="shell") == 'echo "say \\"hi\\""'
    assert render("echo {{ inputs.q }}", values, services, guard="shell") == 'echo say "hi"'
    assert len(told) == 3
    assert "outside of quotes" in told[2]


def test_a_value_that_makes_valid_json_does_not_break_out_of_its_quotes():
    template = '{"text": "{{ inputs.v }}"}'
    found = render(template, {"inputs": {"v": 'x", "channel": "#all'}}, Services(), guard="json")
    assert json.loads(found) == {"text": 'x", "channel": "#all'}


def test_guards_reach_into_containers():
    found = render(["echo '{{ inputs.v }}'", {"k": 1}], {"inputs": {"v": "it's"}}, Services(), guard="shell")
    assert found == ["echo 'it'\\''s'", {"k": 1}]
