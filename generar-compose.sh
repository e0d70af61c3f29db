#!/usr/bin/env bash
# Writes a Compose file for the central and N agencies.
#
#   bash generar-compose.sh docker-compose-dev.yaml 5
#
# From the environment, all optional:
#   CONTEST   name of the lottery; without it, one made of the time
#   CLI_MODE  batch (default), bet or echo
#   NOMBRE APELLIDO DOCUMENTO NACIMIENTO NUMERO
#             the bet of every agency when CLI_MODE is bet; what is not given is
#             invented, for each agency its own
set -euo pipefail
LC_ALL=C # values are looked at byte by byte, whatever the user's language is

readonly MAX_AGENCIES=100000 # what the central takes as EXPECTED_AGENCIES
readonly MAX_TOGETHER=252    # the network's addresses, less its gateway and the central
readonly BET_VARIABLES=(NOMBRE APELLIDO DOCUMENTO NACIMIENTO NUMERO)

fail() {
	printf 'generar-compose.sh: %s\n' "$1" >&2
	exit 1
}

usage() {
	printf 'uso: generar-compose.sh ARCHIVO AGENCIAS (AGENCIAS es un entero de 0 a %d)\n' "$MAX_AGENCIES" >&2
	exit 1
}

main() {
	local root
	root=$(cd -P "$(dirname "$0")" && pwd)
	[[ $# -eq 2 && -n $1 && $2 =~ ^(0|[1-9][0-9]{0,5})$ && $2 -le $MAX_AGENCIES ]] || usage
	local file=$1 agencies=$2 content
	mode=$(printf '%s' "${CLI_MODE:-batch}" | tr '[:upper:]' '[:lower:]')
	contest=${CONTEST:-$(new_contest)}
	check_environment

	# Written whole or not at all.
	content=$(compose_file "$agencies")
	printf '%s\n' "$content" >"$file" || fail "no se pudo escribir $file"

	printf 'Se escribió %s: servidor y %d agencias, sorteo %s, modo %s.\n' "$file" "$agencies" "$contest" "$mode"
	if [[ $agencies -gt $MAX_TOGETHER ]]; then
		printf 'Aviso: en la red 172.25.125.0/24 entran a la vez %d agencias.\n' "$MAX_TOGETHER" >&2
	fi
	if [[ ! -d $root/server || ! -d $root/client ]]; then
		printf 'Aviso: server y client no son carpetas, porque Git no hizo los enlaces simbólicos; README.md dice qué hacer.\n' >&2
	fi
	if [[ $(cd -P "$(dirname "$file")" && pwd) != "$root" ]]; then
		printf 'Aviso: sus rutas salen de la raíz del proyecto; usar docker compose --project-directory.\n' >&2
	fi
}

# Two files of the same second are two lotteries.
new_contest() { printf 'sorteo-%s-%05d' "$(date -u +%Y%m%d-%H%M%S)" "$RANDOM"; }

# What the programs would refuse, and what has no place in a YAML file, is
# refused here already, by name.
check_environment() {
	local name value
	[[ $mode =~ ^(batch|bet|echo)$ ]] || fail 'CLI_MODE tiene que ser batch, bet o echo'
	[[ $contest =~ ^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$ ]] ||
		fail 'CONTEST tiene que ser de 1 a 64 letras sin tilde, dígitos, guiones y puntos, sin empezar con punto'
	for name in "${BET_VARIABLES[@]}"; do
		value=${!name-}
		# Control characters of ASCII and of Unicode, and its line separators.
		if [[ $value == *[[:cntrl:]]* || $value == *$'\xc2'[$'\x80'-$'\x9f']* || $value == *$'\xe2\x80'[$'\xa8\xa9']* ]] ||
			! printf '%s' "$value" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1; then
			fail "$name tiene que ser texto UTF-8 sin caracteres de control"
		fi
	done
}

# quoted TEXT prints it as a YAML string in which Compose replaces nothing.
quoted() {
	local text=${1//\\/\\\\}
	text=${text//\"/\\\"}
	printf '"%s"' "${text//\$/\$\$}"
}

compose_file() {
	local agency
	cat <<'END'
# Escrito por generar-compose.sh; los cambios a mano se pierden al generarlo de nuevo.
name: tp0

services:
END
	server_service "$1"
	for ((agency = 1; agency <= $1; agency++)); do
		client_service "$agency"
	done
	cat <<'END'

networks:
  testing_net:
    ipam:
      driver: default
      config:
        - subnet: 172.25.125.0/24

volumes:
  bets:
END
}

# restart: what fails is started again, and then goes on where it was. The engine
# doubles the pause from 0.1 s up to a minute: 20 times are some 12 minutes. What
# was stopped, or has exited with 0, stays so.
#
# logging: of each container 100 MB are kept, the latest; without these options
# the log grows until the disk is full.
#
# pull_policy: the images are built here. Names like server:latest must never be
# fetched from a public registry, where they are somebody else's.
server_service() {
	cat <<END
  server:
    container_name: server
    image: server:latest
    pull_policy: never
    build:
      context: .
      dockerfile: ./server/Dockerfile
    environment:
      - CONTEST=$contest
END
	# No agencies in the file say nothing about how many will come: then the
	# central's own default holds (0 is no number it takes).
	if [[ $1 -gt 0 ]]; then
		printf '      - EXPECTED_AGENCIES=%d\n' "$1"
	fi
	cat <<'END'
    volumes:
      - ./server/config.ini:/config.ini:ro
      - bets:/bets
    networks:
      - testing_net
    restart: on-failure:20
    stop_grace_period: 10s
    logging: &logging
      driver: json-file
      options:
        max-size: 20m
        max-file: "5"
END
}

client_service() {
	cat <<END

  client$1:
    container_name: client$1
    image: client:latest
    pull_policy: never
    build:
      context: .
      dockerfile: ./client/Dockerfile
    environment:
      - CLI_ID=$1
      - CLI_MODE=$mode
END
	if [[ $mode == bet ]]; then
		bet_variables "$1"
	fi
	cat <<'END'
    volumes:
      - ./client/config.yaml:/config.yaml:ro
      - ./.data:/data:ro
    networks:
      - testing_net
    depends_on:
      server:
        condition: service_healthy
    restart: on-failure:20
    stop_grace_period: 10s
    logging: *logging
END
}

# Agency 1 bets on the number that wins, the others on those that follow.
bet_variables() {
	local names=(Santiago Lucía Joaquín Martina Ramón) surnames=(Lorca Fernández Núñez Gómez Ibáñez)
	local i=$(($1 - 1)) name bet
	bet=("${names[i % 5]}" "${surnames[i % 5]}" $((30904465 + i)) 1999-03-17 $(((7574 + i) % 10000)))
	for i in "${!BET_VARIABLES[@]}"; do
		name=${BET_VARIABLES[i]}
		printf '      - %s\n' "$(quoted "$name=${!name:-${bet[i]}}")"
	done
}

main "$@"
