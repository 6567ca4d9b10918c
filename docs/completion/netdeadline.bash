# Completion of netdeadline for bash. The commands and options are taken from the command's own help.

# The index of the word of `netdeadline run` where the program stands; nothing while its options go on.
_netdeadline_program() {
    local i
    for ((i = 2; i <= COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --)
            ((i < COMP_CWORD)) && echo $((i + 1))
            return
            ;;
        --no-guard) ;;
        --*) if [[ ${COMP_WORDS[i + 1]} == = ]]; then ((i += 2)); else ((i += 1)); fi ;;
        *)
            echo "$i"
            return
            ;;
        esac
    done
}

# What the value of an option can be.
_netdeadline_values() {
    case $1 in
    --mode) echo "enforce observe off" ;;
    --log) echo "off stderr syslog" ;;
    --log-format) echo "logfmt json" ;;
    --backtrace) echo "0 1" ;;
    --library | --config | --only | --skip) ;;
    *) echo "off" ;;
    esac
}

_netdeadline_run() {
    local word=$1 before=$2 program
    if [[ $before == --?* && $before != --no-guard ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_netdeadline_values "$before")" -- "$word")
        if [[ $before == --library || $before == --config || ($before == --log && $word == /*) ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        return
    fi
    program=$(_netdeadline_program)
    if [[ -n $program && $word != -* ]] || ((${program:-COMP_CWORD} < COMP_CWORD)); then
        if ((program == COMP_CWORD)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$word")
        elif declare -F _command_offset >/dev/null; then
            _command_offset "$program"
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        fi
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" run --help 2>/dev/null | grep -o '^  --[a-z-]*') --help" -- "$word")
}

# `netdeadline unit`: the options of run, then the name of a service.
_netdeadline_unit() {
    local word=$1 before=$2
    if [[ $word == --g* ]]; then
        mapfile -t COMPREPLY < <(compgen -W --guard -- "$word")
    elif [[ $before != --guard && $before == --?* || $word == -* ]]; then
        _netdeadline_run "$word" "$before"
    elif command -v systemctl >/dev/null; then
        mapfile -t COMPREPLY < <(compgen -W "$(systemctl list-unit-files --type=service --no-legend 2>/dev/null | cut -d' ' -f1)" -- "$word")
    fi
}

# `netdeadline enable` and `disable`: their own options, those of run for the first, and the name of a service.
_netdeadline_enable() {
    local word=$1 before=$2
    case $before in
    --now | --system | --no-trial | --force) ;;
    --?*)
        _netdeadline_run "$word" "$before"
        return
        ;;
    esac
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" "${COMP_WORDS[1]}" --help 2>/dev/null | grep -o '^  --[a-z-]*') --help" -- "$word")
    elif [[ " ${COMP_WORDS[*]} " != *" --system "* ]]; then
        _netdeadline_unit "$word" ""
    fi
}

# `netdeadline guard`: the options of run and its own, or processes.
_netdeadline_guard() {
    local word=$1 before=$2
    if [[ $before == --cgroup ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
    elif [[ $before == --unit ]]; then
        command -v systemctl >/dev/null &&
            mapfile -t COMPREPLY < <(compgen -W "$(systemctl list-units --type=service --no-legend --plain 2>/dev/null | cut -d' ' -f1)" -- "$word")
    elif [[ $before == --?* && $before != --all ]]; then
        _netdeadline_run "$word" "$before"
    else
        mapfile -t COMPREPLY < <(compgen -W "$("${COMP_WORDS[0]}" guard --help 2>/dev/null | grep -o '^  --[a-z-]*') --help $(_netdeadline_pids)" -- "$word")
    fi
}

_netdeadline_config() {
    local word=$1 before=$2
    if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "--check --explain --help" -- "$word")
    elif [[ $before == --check || $before == --file ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    elif [[ ${COMP_WORDS[2]} == --explain && $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "--file --inbound" -- "$word")
    elif [[ ${COMP_WORDS[2]} == --explain ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$word")
    fi
}

# The calls that programs wait in most; there are more.
_netdeadline_calls="connect read recv recvfrom recvmsg poll select epoll_wait write send sendto sendmsg accept accept4
    SSL_read SSL_write SSL_connect SSL_accept SSL_do_handshake gnutls_handshake gnutls_record_recv getaddrinfo gethostbyname"

_netdeadline_pids() {
    (cd /proc && printf '%s\n' [0-9]*)
}

# The settings that `netdeadline set` takes: limits and MODE.
_netdeadline_settings() {
    "${COMP_WORDS[0]}" run --help 2>/dev/null | sed -n 's/^  --\([a-z-]*\) .*/\1/p' | grep -vE '^(log|log-format|backtrace|statsd|config|only|skip|library|no-guard)$' |
        tr 'a-z-' 'A-Z_' | sed 's/$/=/'
}

_netdeadline() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} commands
    COMPREPLY=()
    commands=$("${COMP_WORDS[0]}" --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$commands help --help --version" -- "$word")
        return
    fi
    case ${COMP_WORDS[1]} in
    run) _netdeadline_run "$word" "$before" ;;
    unit) _netdeadline_unit "$word" "$before" ;;
    enable | disable) _netdeadline_enable "$word" "$before" ;;
    status) mapfile -t COMPREPLY < <(compgen -W "--help" -- "$word") ;;
    config) _netdeadline_config "$word" "$before" ;;
    check) ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    ps) mapfile -t COMPREPLY < <(compgen -W "--stack --connections --help $(_netdeadline_pids)" -- "$word") ;;
    top) mapfile -t COMPREPLY < <(compgen -W "--help $(_netdeadline_pids)" -- "$word") ;;
    end) mapfile -t COMPREPLY < <(compgen -W "--stuck --connect --recv --unacked --inbound-recv --inbound-unacked --idle --inbound-idle --dry-run --help $(_netdeadline_pids)" -- "$word") ;;
    guard) _netdeadline_guard "$word" "$before" ;;
    stats)
        if [[ $before == --histogram ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$_netdeadline_calls" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -W "--json --prometheus --by-pid --config --histogram --help $(_netdeadline_pids)" -- "$word")
        fi
        ;;
    exporter)
        if [[ $before == --textfile ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        elif [[ $before != --listen && $before != --interval ]]; then
            mapfile -t COMPREPLY < <(compgen -W "--listen --textfile --interval --by-pid --help" -- "$word")
        fi
        ;;
    set)
        if ((COMP_CWORD == 2)); then
            mapfile -t COMPREPLY < <(compgen -W "$(_netdeadline_pids)" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -W "$(_netdeadline_settings)" -- "$word")
            compopt -o nospace 2>/dev/null
        fi
        ;;
    help) ((COMP_CWORD == 2)) && mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word") ;;
    esac
}

complete -F _netdeadline netdeadline
