// Command digest writes bpf/src.sha256: what the committed objects were made of.
// The test in bpf compares it with the sources, so that a forgotten `go generate`
// is noticed where there is no compiler.
package main

import (
	"fmt"
	"os"

	"lbctl/bpf"
)

func main() {
	sum, err := bpf.SourceDigest(os.DirFS("src"))
	if err == nil {
		err = os.WriteFile("src.sha256", []byte(sum+"\n"), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "digest:", err)
		os.Exit(1)
	}
}
