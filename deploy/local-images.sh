#!/usr/bin/env bash
# Makes sure that the images and the Compose plugin that this project builds on
# are on this machine. What is there is used as it is, what can be pulled is
# pulled, and only what is left is made here, from Debian packages and from the
# machine's own Go. With nothing to do it takes a second.
#
# usage: deploy/local-images.sh [fresh IMAGE]
# With "fresh" it makes sure of that one image only: a machine that has Go, a C
# compiler, make and git, and nothing else.
# PULL_SECONDS bounds each pull (default 180).
set -euo pipefail
cd "$(dirname "$0")/.." # so that go reads this project's go.mod

# Newer tags replace modules in go.mod, and go refuses to install those.
readonly COMPOSE_VERSION=v2.32.4
readonly PULL_SECONDS=${PULL_SECONDS:-180}

work=$(mktemp -d)
trap 'as_root rm -rf "$work"' EXIT

main() {
	docker info >/dev/null 2>&1 || fail 'no Docker engine answers (docker info)'
	case $#:${1:-} in
	0:)
		ensure_image busybox:latest make_busybox
		ensure_image golang:1.26 make_golang
		ensure_image nats:2.15-alpine make_nats
		ensure_compose
		;;
	2:fresh)
		# No registry has it: only what is made here is sure to have no more.
		docker image inspect "$2" >/dev/null 2>&1 || build_image "$2" make_fresh
		;;
	*)
		fail 'usage: deploy/local-images.sh [fresh IMAGE]'
		;;
	esac
}

say() { printf '%s: %s\n' "${0##*/}" "$*"; }

fail() {
	say "$*" >&2
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# again COMMAND… tries up to three times what needs a network.
again() {
	local pause
	for pause in 10 30; do
		if "$@"; then
			return
		fi
		echo "failed, again in $pause s: $*" >&2
		sleep "$pause"
	done
	"$@"
}

# ensure_image NAME MAKER
ensure_image() {
	if docker image inspect "$1" >/dev/null 2>&1; then
		return
	fi
	say "$1 is missing, pulling it"
	if timeout "$PULL_SECONDS" docker pull --quiet "$1"; then
		return
	fi
	say "$1 cannot be pulled"
	build_image "$1" "$2"
}

# build_image NAME MAKER
build_image() {
	say "making $1"
	"$2" "$1"
	say "$1 made"
}

# install_packages NAME… puts Debian packages on this machine.
install_packages() {
	command -v apt-get >/dev/null || fail "making images needs Debian's apt-get, to install: $*"
	again as_root apt-get -qq update
	again as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" >/dev/null
}

# make_busybox IMAGE
make_busybox() {
	local root=$work/busybox applet
	if ! dpkg-query --show busybox-static >/dev/null 2>&1; then
		install_packages busybox-static
	fi
	mkdir -p "$root"/{bin,dev,etc,home,proc,root,sys,tmp,usr,var}
	chmod 1777 "$root/tmp"
	cp "$(command -v busybox)" "$root/bin/busybox"
	for applet in $("$root/bin/busybox" --list); do
		[ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	tar -C "$root" --owner=0 --group=0 -c . | docker import --change 'CMD ["sh"]' - "$1" >/dev/null
}

# make_golang IMAGE
make_golang() {
	local root=$work/golang name settings=()
	debian_with_go "$root" ca-certificates
	# The modules come along, as the builder's network may reach no proxy. Only
	# the downloads: go unpacks them, or fetches what go.mod came to need since.
	for name in . cluster; do
		GOFLAGS=-modcacherw GOMODCACHE=$root/go/pkg/mod again go -C "$name" mod download
	done
	find "$root/go/pkg/mod" -mindepth 1 -maxdepth 1 ! -name cache -exec rm -rf {} +

	for name in GOPROXY GOSUMDB GONOSUMDB GOPRIVATE GONOPROXY GOINSECURE; do
		settings+=(--change "ENV $name=\"$(go env "$name")\"")
	done
	import_with_go "$root" "$1" --change 'ENV GOPATH=/go' --change 'ENV GOTOOLCHAIN=local' "${settings[@]}" \
		--change 'WORKDIR /go'
}

# make_nats IMAGE makes it on busybox, with the server that cluster/go.mod names.
make_nats() {
	local root=$work/nats
	command -v go >/dev/null || fail 'making an image of NATS needs Go on this machine'
	mkdir -p "$root"
	CGO_ENABLED=0 go -C cluster build -trimpath -ldflags='-s -w' -o "$root/nats-server" github.com/nats-io/nats-server/v2
	printf 'FROM busybox:latest\nCOPY nats-server /usr/local/bin/nats-server\nENTRYPOINT ["nats-server"]\n' |
		docker build --quiet --tag "$1" --file - "$root" >/dev/null
}

# make_fresh IMAGE. Settings of Go and modules are for whoever runs it.
make_fresh() {
	debian_with_go "$work/fresh" ca-certificates,gcc,git,libc6-dev,make
	import_with_go "$work/fresh" "$1" --change 'WORKDIR /root'
}

# debian_with_go ROOT PACKAGE[,PACKAGE…] makes a minimal Debian with these
# packages and the machine's own Go.
debian_with_go() {
	local root=$1 packages=$2 suite
	command -v go >/dev/null || fail 'making an image with Go needs Go on this machine'
	command -v debootstrap >/dev/null || install_packages debootstrap

	# The machine's own release and its own mirror, whichever they are.
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
	# shellcheck disable=SC2046 # no mirror known: no argument
	again bootstrap --variant=minbase --include="$packages" "$suite" "$root" $(debian_mirror "$suite") \
		>"$work/debootstrap.log" || {
		tail -n 20 "$work/debootstrap.log" >&2
		fail 'debootstrap failed'
	}
	as_root chown -R "$(id -u)" "$root"
	rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*

	cp -R "$(go env GOROOT)/." "$root/usr/local/go"
	if [ -r /etc/ssl/certs/ca-certificates.crt ]; then
		# A site's own authority is trusted inside as it is outside.
		cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
	fi
}

# bootstrap OPTION… SUITE ROOT [MIRROR] begins with an empty folder.
bootstrap() {
	as_root rm -rf "$4"
	as_root debootstrap "$@"
}

# import_with_go ROOT IMAGE OPTION… makes the image, with Go in its PATH.
import_with_go() {
	local root=$1 image=$2
	shift 2
	tar -C "$root" --owner=0 --group=0 -c . | docker import \
		--change 'ENV PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
		"$@" --change 'CMD ["bash"]' - "$image" >/dev/null
}

# debian_mirror SUITE prints where this machine gets that suite from, or
# nothing: then debootstrap takes its own default.
debian_mirror() {
	# shellcheck disable=SC2016 # apt-get fills it in
	apt-get indextargets --format '$(REPO_URI)' \
		'Created-By: Packages' "Release: $1" 'Component: main' 2>/dev/null |
		grep -m 1 -E '^(https?|file):' || true
}

ensure_compose() {
	local plugin=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins/docker-compose
	if docker compose version >/dev/null 2>&1; then
		return
	fi
	command -v go >/dev/null || fail 'docker compose is missing, and so is the Go to build it with'
	say "docker compose is missing, building $COMPOSE_VERSION (some minutes)"
	# The linker flag is for `docker compose version`, which says "dev" without it.
	GOBIN=$work CGO_ENABLED=0 again go install \
		-ldflags "-s -w -X github.com/docker/compose/v2/internal.Version=$COMPOSE_VERSION" \
		"github.com/docker/compose/v2/cmd@$COMPOSE_VERSION"
	mkdir -p "${plugin%/*}"
	install -m 755 "$work/cmd" "$plugin"
	docker compose version
}

main "$@"
