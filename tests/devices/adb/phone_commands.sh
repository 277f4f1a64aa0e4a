#!/bin/sh
# A double of the commands of a phone that mobiledet calls, under whose names this file is linked. What they know and
# what they were told lies in files of the folder $STATE; see conftest.py.
state=${STATE:-/state}
command=${0##*/}
echo "$command $*" >>"$state/log"
case "$command $1 $2" in
"date "*) echo "01-02 03:04:05.000" ;;
"pm path "*) [ ! -e "$state/installed" ] || echo "package:/data/app/base.apk" ;;
"pm install "*)
    if [ -e "$state/refuses_apps" ]; then
        cat "$state/refuses_apps"
        exit 1
    fi
    while [ $# -gt 1 ]; do shift; done
    cat "$1" >"$state/installed" && echo Success ;;
"cmd power set-fixed-performance-mode-enabled")
    if [ -e "$state/no_fixed_performance" ]; then
        echo "Failed to set FIXED_PERFORMANCE mode"
        exit 255
    fi
    echo "$3" >"$state/fixed_performance" ;;
"am start -a")
    echo "$5" >"$state/view.new" && mv "$state/view.new" "$state/view"
    echo "Starting: Intent { act=$3 dat=$5 }" ;;
"am start "*)
    echo "Starting: Intent { cmp=dev.mobiledet.app/.EvalActivity (has extras) }"
    if [ -e "$state/no_activity" ]; then
        echo "Error type 3"
        echo "Error: Activity class {dev.mobiledet.app/dev.mobiledet.app.EvalActivity} does not exist."
        exit 1
    fi
    echo "$*" >"$state/start.new" && mv "$state/start.new" "$state/start"
    while [ -e "$state/start" ]; do sleep 0.05; done
    printf 'Status: ok\nLaunchState: COLD\nActivity: dev.mobiledet.app/.EvalActivity\nTotalTime: 300\nComplete\n' ;;
"am force-stop "*) [ ! -e "$state/pid" ] || { kill "$(cat "$state/pid")"; rm "$state/pid"; } ;;
"pidof "*) [ -e "$state/pid" ] && kill -0 "$(cat "$state/pid")" 2>/dev/null && cat "$state/pid" ;;
"settings get "*) cat "$state/settings.$3" 2>/dev/null || echo null ;;
"settings put "*) echo "$4" >"$state/settings.$3" ;;
"settings delete "*) rm -f "$state/settings.$3" && echo "Deleted 1 rows" ;;
"svc power stayon") echo 7 >"$state/settings.stay_on_while_plugged_in" ;;
"dumpsys "*) cat "$state/dumpsys.$1" ;;
"logcat "*) cat "$state/logcat" 2>/dev/null ;;
"nproc "*) echo 4 ;;
"getprop "*) cat "$state/getprop.$1" 2>/dev/null || echo ;;
*) echo "$command: unknown: $*" >&2; exit 1 ;;
esac
