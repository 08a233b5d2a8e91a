#!/bin/sh
# Makes the test certificates: a P-256 CA and a server certificate for localhost, 127.0.0.1 and ::1, valid from
# 2020 to 2120, so that no test depends on the day it runs; each as PEM and DER. The CA's private key is thrown away.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.key"
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out server_key.pem
openssl req -new -key "$work/ca.key" -subj "/CN=Quillon test CA" -out "$work/ca.csr"
openssl req -new -key server_key.pem -subj "/CN=localhost" -out "$work/server.csr"

cat > "$work/ca.cnf" <<CNF
[ca]
default_ca = test
[test]
dir = $work
database = $work/index
new_certs_dir = $work
serial = $work/serial
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CNF
: > "$work/index"
echo 01 > "$work/serial"
sign() {
    openssl ca -batch -notext -config "$work/ca.cnf" -keyfile "$work/ca.key" \
        -startdate 20200101000000Z -enddate 21200101000000Z "$@"
}
sign -selfsign -extensions root -in "$work/ca.csr" -out ca.pem
sign -cert ca.pem -extensions leaf -in "$work/server.csr" -out server.pem
for name in ca server; do
    openssl x509 -in $name.pem -outform DER -out $name.der
done
openssl pkcs8 -topk8 -nocrypt -in server_key.pem -outform DER -out server_key.der
chmod 644 server_key.*
