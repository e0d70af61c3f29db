#!/bin/sh
# Tells whether the container named "server" echoes, from inside of its network:
# nothing is installed on this machine and no port is published.
# It takes 10 seconds at most. Its last line, and exit code 0 or 1, is the verdict.

# So long may connecting and answering take; the rest of the 10 seconds is for
# starting and removing the container.
SECONDS_FOR_ANSWER=3

hex() { od -An -v -tx1 | tr -d ' \n'; }

# Nobody who does not read it can answer it.
message="prueba-$(head -c 16 /dev/urandom | hex)"

# The server is not trusted to close the connection, nor to ever be silent:
# timeout and head end the conversation.
# shellcheck disable=SC2016 # expanded by the shell in the container
answer=$(docker run --rm --network tp0_testing_net busybox:latest sh -c '
	printf "%s\n" "$1" | timeout "$2" nc server 12345 | head -c 1025
' sh "$message" "$SECONDS_FOR_ANSWER" | hex)

# Compared as bytes, as a shell variable would lose line ends and zeros. The line
# itself is what has to come back; many a healthy server drops its line end.
case $answer in
"$(printf '%s\n' "$message" | hex)" | "$(printf '%s' "$message" | hex)")
	echo 'action: test_echo_server | result: success'
	;;
*)
	echo 'action: test_echo_server | result: fail'
	exit 1
	;;
esac
