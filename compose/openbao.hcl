# One server on one machine: its data on a volume, its seal's key on another, so that it unseals itself
# whenever it starts. Whoever has both volumes has all that is in it; see docs/compose.md.
storage "raft" {
  path    = "/openbao/file"
  node_id = "openbao"
}

listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}

seal "static" {
  current_key_id = "1"
  current_key    = "file:///run/openbao-seal/key"
}

api_addr     = "http://openbao:8200"
cluster_addr = "http://openbao:8201"
ui           = false
