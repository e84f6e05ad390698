package main

import (
	"bytes"
	"os"
	"testing"
)

// What is committed is what the generator writes.
func TestGenerated(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	is, err := os.ReadFile("../vector_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(is, want) {
		t.Error("vector_amd64.s is not what is generated: run go generate ./rss")
	}
}
