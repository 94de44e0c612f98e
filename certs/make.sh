#!/bin/sh
# Makes the certificates of a development machine: a certificate authority of its own, one server
# and one client. See README.md beside this file for what each command does.
#
#   certs/make.sh [--dir DIR] [--force] [--name NAME]... [--days N] [--expired]
#
#   --dir DIR    where they go; certs/dev beside this script when not given
#   --force      replace what is there; without it nothing is overwritten
#   --name NAME  one more name or address for the server (may be repeated)
#   --days N     how long they are valid; 825 when not given
#   --expired    the server's certificate ended yesterday (to see a client refuse it)
set -eu

here=$(cd "$(dirname "$0")" && pwd)
dir=$here/dev
force=no
days=825
expired=no
names="DNS:localhost,DNS:sandbox,DNS:gateway,IP:127.0.0.1,IP:::1"

fail() {
    echo "make.sh: $*" >&2
    exit 1
}

san_of() { # an address has only digits and dots, or a colon
    case $1 in
    *:*) echo "IP:$1" ;;
    *[!0-9.]*) echo "DNS:$1" ;;
    *) echo "IP:$1" ;;
    esac
}

while [ $# -gt 0 ]; do
    case $1 in
    --dir) [ $# -ge 2 ] || fail "--dir needs a folder"; dir=$2; shift ;;
    --force) force=yes ;;
    --name) [ $# -ge 2 ] || fail "--name needs a name"; names="$names,$(san_of "$2")"; shift ;;
    --days) [ $# -ge 2 ] || fail "--days needs a number"; days=$2; shift ;;
    --expired) expired=yes ;;
    *) fail "unknown option $1" ;;
    esac
    shift
done

mkdir -p "$dir"
for file in ca server client; do
    for kind in pem key; do
        [ "$force" = yes ] || [ ! -e "$dir/$file.$kind" ] ||
            fail "$dir/$file.$kind is there already; --force replaces it"
    done
done

umask 077 # keys are for their owner alone
work=$(mktemp -d "$dir/.make.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

new_key() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/$1.key" 2>/dev/null
}

# signed NAME SUBJECT EXTENSIONS: a certificate of the authority for $work/NAME.key
signed() {
    printf '%s\n' "$3" >"$work/$1.ext"
    openssl req -new -key "$work/$1.key" -subj "$2" -out "$work/$1.csr"
    if [ "$1" = server ] && [ "$expired" = yes ]; then
        : >"$work/index.txt"
        printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nnew_certs_dir=%s\nserial=%s/serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n' \
            "$work" "$work" "$work" >"$work/ca.cnf"
        openssl rand -hex 8 >"$work/serial"
        openssl ca -batch -notext -config "$work/ca.cnf" -cert "$work/ca.pem" -keyfile "$work/ca.key" \
            -in "$work/$1.csr" -extfile "$work/$1.ext" -startdate 20200101000000Z \
            -enddate 20200102000000Z -out "$work/$1.pem" 2>/dev/null
        return
    fi
    openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" \
        -set_serial "0x$(openssl rand -hex 8)" -days "$days" -sha256 -extfile "$work/$1.ext" \
        -out "$work/$1.pem" 2>/dev/null
}

new_key ca
openssl req -x509 -new -key "$work/ca.key" -sha256 -days "$days" -subj "/CN=sluice development CA" \
    -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$work/ca.pem"

new_key server
signed server "/CN=localhost" "basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$names"

new_key client
signed client "/CN=sluice development client" "basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth"

for file in ca server client; do
    chmod 644 "$work/$file.pem"
    chmod 600 "$work/$file.key"
    mv -f "$work/$file.pem" "$dir/$file.pem"
    mv -f "$work/$file.key" "$dir/$file.key"
done
echo "made in $dir: ca, server, client (.pem and .key)"
