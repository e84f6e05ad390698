package bpf

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
)

// SourceDigest returns the SHA-256, in hex, of the names and contents of all files of
// a source tree in lexical order.
func SourceDigest(tree fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := tree.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		fmt.Fprintf(h, "%s\n", path)
		_, err = io.Copy(h, f)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("digest of the BPF sources: %w", err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
