#!/usr/bin/env bash
# mount-certs.sh [FOLDER] puts what each container of deploy/tls.yaml mounts into a
# folder of its own below FOLDER (certs), which "go run ./cmd/certs" has filled:
# certs/central, certs/agency-1 and so on. The authority's key goes nowhere. Run it
# again after a renewal: the central reads what it finds there by itself.
#
# The programs in the containers are group 65532, which may read the keys here; the
# files stay their owner's. A container changes the group, as only root may.
set -euo pipefail

folder=${1:-certs}
[[ -f $folder/authority.pem ]] || {
	printf 'mount-certs.sh: there is no %s/authority.pem; make the certificates first: go run ./cmd/certs\n' "$folder" >&2
	exit 1
}

names=()
for key in "$folder"/central-key.pem "$folder"/agency-*-key.pem; do
	[[ -f $key ]] || continue # of an agency that is elsewhere
	name=$(basename "$key" -key.pem)
	mkdir -p "$folder/$name"
	cp "$folder/authority.pem" "$key" "$folder/$name.pem" "$folder/$name/"
	names+=("/certs/$name")
done
[[ ${#names[@]} -gt 0 ]] || {
	printf 'mount-certs.sh: %s has no key of a central or an agency\n' "$folder" >&2
	exit 1
}
if [[ -d $folder/central ]]; then
	touch "$folder/central/revoked.txt" # the list of --tls-revoked
fi
docker run --rm -v "$(cd "$folder" && pwd):/certs" busybox sh -c 'chgrp -R 65532 "$@" && chmod -R u=rwX,g=rX,o= "$@"' sh "${names[@]}"
