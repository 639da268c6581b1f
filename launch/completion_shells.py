"""The completion of a command line as scripts for bash, zsh and fish.

    verbs with their options, arguments and values -> one script, which needs nothing but its shell

Place: the how-manieth word it is that is no option and no option's value. Words with a blank do not occur.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from launch.completion import Argument, Option, Values, Verb

Script = Callable[[Sequence[Verb]], str]


# ---- bash -------------------------------------------------------------------------------------------

BASH = """\
# Completion of cgd for bash: eval "$(cgd --completion bash)"
_cgd_words() {{
    COMPREPLY=($(compgen -W "$1" -S "${{2-}}" -- "$cur"))
    [[ ${{2-}} ]] && compopt -o nospace 2>/dev/null
}}
_cgd_files() {{
    local IFS=$'\\n' one
    COMPREPLY+=($(compgen -d -- "$cur"))
    if [[ $1 != / ]]; then
        for one in $(compgen -f -X "!*$1" -- "$cur"); do [[ -d $one ]] || COMPREPLY+=("$one"); done
    fi
    compopt -o filenames 2>/dev/null
}}
_cgd() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}} verb=${{COMP_WORDS[1]}} first=2
    local valued= options= place=0 skip= i
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _cgd_words "{verbs} --help --completion"
        return
    fi
    [[ $verb == --completion ]] && {{ _cgd_words "bash zsh fish"; return; }}
    [[ $prev == = || $cur == = ]] && return
{nested}    case $verb in
{valued}    esac
    for ((i = first; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
        =) skip=1 ;;
        -*) [[ " $valued " == *" ${{COMP_WORDS[i]}} "* ]] && skip=1 || skip= ;;
        *) [[ $skip ]] && skip= || ((place++)) ;;
        esac
    done
    if [[ $skip ]]; then
        case "$verb $prev" in
{values}        esac
        return
    fi
    if [[ $cur == -* ]]; then
        _cgd_words "$options"
        return
    fi
    case "$verb $place" in
{places}    esac
}}
complete -F _cgd cgd
"""


def bash(verbs: Sequence[Verb]) -> str:
    """Words by compgen; one `case` each for options, their values and places."""
    nested = sorted({verb.words[0] for verb in verbs if len(verb.words) > 1})
    inner = "".join(
        f'    [[ $verb == {name} ]] && ((COMP_CWORD > 2)) && {{ verb="{name} ${{COMP_WORDS[2]}}"; first=3; }}\n'
        for name in nested
    )
    return BASH.format(
        verbs=" ".join(verb.words[0] for verb in verbs if len(verb.words) == 1),
        nested=inner,
        valued="".join(map(bash_options, verbs)),
        values="".join(line for verb in verbs for line in bash_values(verb)),
        places="".join(line for verb in verbs for line in bash_places(verb)),
    )


def bash_options(verb: Verb) -> str:
    """The options of a verb, and which of them take a value."""
    every = " ".join(name for option in verb.options for name in option.names)
    valued = " ".join(name for o in verb.options if o.takes is not None for name in o.names)
    return f'    "{" ".join(verb.words)}") options="{every}" valued="{valued}" ;;\n'


def bash_values(verb: Verb) -> Iterator[str]:
    """What follows an option."""
    for option in verb.options:
        if option.takes is not None and (offer := bash_offer(option.takes)):
            patterns = "|".join(f'"{" ".join(verb.words)} {name}"' for name in option.names)
            yield f"        {patterns}) {offer} ;;\n"


def bash_places(verb: Verb) -> Iterator[str]:
    """What stands in a place; the last argument may take all further ones."""
    for number, argument in enumerate(verb.arguments):
        if offer := bash_offer(argument.takes):
            place = "*" if argument.repeated else str(number)
            yield f'    "{" ".join(verb.words)} "{place}) {offer} ;;\n'


def bash_offer(values: Values) -> str:
    """The commands that offer these values."""
    parts = []
    if values.words:
        parts.append(
            f'_cgd_words "{" ".join(values.words)}"' + (f" {values.joined}" * bool(values.joined))
        )
    if values.files or values.folders:
        parts.append(f"_cgd_files '{'' if values.files == '*' else values.files or '/'}'")
    return "; ".join(parts)


# ---- zsh --------------------------------------------------------------------------------------------

ZSH = """\
#compdef cgd
# Completion of cgd for zsh: eval "$(cgd --completion zsh)" after compinit
_cgd() {{
    local context state state_descr line
    typeset -A opt_args
    _arguments -C '(- *)'{{-h,--help}}'[show help]' \\
        '--completion[print the script for a shell]:shell:(bash zsh fish)' \\
        '1:command:->command' '*::option:->option' && return
    if [[ $state == command ]]; then
        local -a commands=(
{commands}        )
        _describe command commands
        return
    fi
    case $line[1] in
{verbs}    esac
}}
if [[ $funcstack[1] == _cgd ]]; then _cgd "$@"; else compdef _cgd cgd; fi
"""


def zsh(verbs: Sequence[Verb]) -> str:
    """zsh's own `_arguments` for each verb, with what every option does."""
    top = [verb for verb in verbs if len(verb.words) == 1]
    commands = "".join(f"            {quoted(f'{v.words[0]}:{v.about}')}\n" for v in top)
    blocks = []
    for verb in top:
        inner = [v for v in verbs if len(v.words) > 1 and v.words[0] == verb.words[0]]
        if not inner:
            blocks.append(f"    {verb.words[0]}) _arguments{zsh_specs(verb)} ;;\n")
            continue
        names = " ".join(v.words[1] for v in inner)
        cases = "".join(f"        {v.words[1]}) _arguments{zsh_specs(v)} ;;\n" for v in inner)
        blocks.append(
            f"    {verb.words[0]})\n"
            f"        _arguments -C '1:name:({names})' '*::option:->option' && return\n"
            f"        case $line[1] in\n{cases}        esac ;;\n"
        )
    return ZSH.format(commands=commands, verbs="".join(blocks))


def zsh_specs(verb: Verb) -> str:
    """The specifications of a verb's options and arguments."""
    specs = [spec for option in verb.options for spec in zsh_option(option)]
    for number, argument in enumerate(verb.arguments, start=1):
        place = "*" if argument.repeated else str(number)
        specs.append(f"{place}:{escaped(argument.label)}:{zsh_offer(argument.takes)}")
    return "".join(f" {quoted(spec)}" for spec in specs)


def zsh_option(option: Option) -> Iterator[str]:
    """`*--set[about]:LABEL:(words)`, for each of its names."""
    value = "" if option.takes is None else f":{escaped(option.label)}:{zsh_offer(option.takes)}"
    for name in option.names:
        yield f"{'*' * option.repeated}{name}[{escaped(option.about)}]{value}"


def zsh_offer(values: Values) -> str:
    """The action that offers these values."""
    if values.words and values.joined:
        return f"compadd -S {quoted(values.joined)} -- {' '.join(values.words)}".replace("'", "")
    files = f'_files -g "*{values.files}"' if values.files.startswith(".") else "_files"
    files = "_files -/" if values.folders and not values.files else files
    if values.words and (values.files or values.folders):
        return f'_alternative "words:word:({" ".join(values.words)})" {zsh_nested(files)}'
    return (
        f"({' '.join(values.words)})"
        if values.words
        else files
        if values.files or values.folders
        else " "
    )


def zsh_nested(files: str) -> str:
    """Files as one of several alternatives."""
    return '"files:file:' + files.replace('"', '\\"') + '"'


def escaped(text: str) -> str:
    """A text inside a specification."""
    for char in "\\:[]":
        text = text.replace(char, f"\\{char}")
    return text


def quoted(text: str) -> str:
    """In single quotes, for zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


# ---- fish -------------------------------------------------------------------------------------------

FISH = """\
# Completion of cgd for fish: cgd --completion fish | source
function __cgd_at
    set -l words (commandline -opc)
    test (count $words) -gt (count $argv); or return 1
    test "$words[2]" = "$argv[1]"; or return 1
    test (count $argv) -eq 1; or test "$words[3]" = "$argv[2]"
end
function __cgd_start
    test (count (commandline -opc)) -eq 1
end
complete -c cgd -f
complete -c cgd -n __cgd_start -s h -l help -d 'show help'
complete -c cgd -n __cgd_start -l completion -x -a 'bash zsh fish' -d 'print the script for a shell'
"""


def fish(verbs: Sequence[Verb]) -> str:
    """A line each for verbs, options and arguments."""
    return FISH + "".join(f"{line}\n" for verb in verbs for line in fish_lines(verb))


def fish_lines(verb: Verb) -> Iterator[str]:
    """One verb's."""
    if len(verb.words) == 1:
        yield f"complete -c cgd -n __cgd_start -a {verb.words[0]} -d {fish_quoted(verb.about)}"
    here = f"complete -c cgd -n '__cgd_at {' '.join(verb.words)}'"
    for option in verb.options:
        names = " ".join(
            f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names
        )
        takes = "" if option.takes is None else f" {fish_offer(option.takes) or '-x'}"
        yield f"{here} {names}{takes} -d {fish_quoted(option.about)}"
    for argument in verb.arguments:
        yield from fish_argument(here, argument)


def fish_argument(here: str, argument: Argument) -> Iterator[str]:
    """Words and files wherever an argument may stand."""
    if offer := fish_offer(argument.takes).removeprefix("-x ").removeprefix("-r "):
        yield f"{here} {offer}"


def fish_offer(values: Values) -> str:
    """The options of `complete` that offer these values; empty where nothing is known."""
    words = [f"{word}{values.joined}" for word in values.words]
    if values.files.startswith("."):
        words.append(f"(__fish_complete_suffix {values.files})")
    elif values.folders and not values.files:
        words.append("(__fish_complete_directories)")
    offered = f"-a {fish_quoted(' '.join(words))}" if words else ""
    if values.files == "*":
        return f"-r -F {offered}".rstrip()
    return f"-x {offered}" if offered else ""


def fish_quoted(text: str) -> str:
    """In single quotes, for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SCRIPTS: dict[str, Script] = {"bash": bash, "zsh": zsh, "fish": fish}
