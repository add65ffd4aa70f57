#!/bin/sh
# Prepares a fresh Garage for Cloakroom by its administration API: the layout with its node, the key, the bucket
# and the permissions of the key. Running it again changes nothing.
set -eu
admin=http://garage:3903
call() { # method, path, body
  curl -sS --fail-with-body -X "$1" "$admin$2" -H "Authorization: Bearer $GARAGE_ADMIN_TOKEN" \
    -H 'Content-Type: application/json' ${3:+--data "$3"}
}
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" | head -1; }

status=$(call GET /v2/GetClusterStatus | tr -d '\n ')
version=$(echo "$status" | field layoutVersion)
if [ "${version:-0}" = 0 ]; then
  node=$(echo "$status" | sed 's/.*"nodes":\[//' | field id)
  call POST /v2/UpdateClusterLayout "{\"roles\":[{\"id\":\"$node\",\"zone\":\"here\",\"capacity\":10000000000,\"tags\":[]}]}" >/dev/null
  call POST /v2/ApplyClusterLayout '{"version":1}' >/dev/null
  echo "layout applied"
fi
if ! call GET "/v2/GetKeyInfo?id=$S3_ACCESS_KEY_ID" >/dev/null 2>&1; then
  call POST /v2/ImportKey "{\"accessKeyId\":\"$S3_ACCESS_KEY_ID\",\"secretAccessKey\":\"$S3_SECRET_ACCESS_KEY\",\"name\":\"cloakroom\"}" >/dev/null
  echo "key imported"
fi
if ! bucket=$(call GET '/v2/GetBucketInfo?globalAlias=cloakroom' 2>/dev/null); then
  bucket=$(call POST /v2/CreateBucket '{"globalAlias":"cloakroom"}')
  echo "bucket created"
fi
id=$(echo "$bucket" | tr -d '\n ' | field id)
call POST /v2/AllowBucketKey "{\"bucketId\":\"$id\",\"accessKeyId\":\"$S3_ACCESS_KEY_ID\",\"permissions\":{\"read\":true,\"write\":true,\"owner\":true}}" >/dev/null
echo "ready"
