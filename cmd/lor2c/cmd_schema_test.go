package main

import (
	"encoding/json"
	"testing"
)

// TestSchema: the command prints JSON that names its draft and has every
// section. Tests of package config check its content.
func TestSchema(t *testing.T) {
	r := run(t, "schema")
	var got struct {
		Schema     string `json:"$schema"`
		Properties map[string]any
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 || r.stderr != "" {
		t.Fatalf("%v; code %d, standard error %q", err, r.code, r.stderr)
	}
	if got.Schema != "https://json-schema.org/draft/2020-12/schema" || len(got.Properties) != 10 {
		t.Errorf("got schema %q with %d keys; want draft 2020-12 and 10", got.Schema, len(got.Properties))
	}
	if r := run(t, "schema", "run.yaml"); r.code != exitUsage {
		t.Errorf("an argument ends with code %d; want %d", r.code, exitUsage)
	}
}
