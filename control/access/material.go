package access

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"lbctl/control/safedir"
	"lbctl/lb"
)

// Files are the files that a listener for TLS is made of. ClientCA or Tokens may be "".
type Files struct {
	Certificate, Key string
	// ClientCA has the certificates, in PEM, by which those of clients are verified.
	ClientCA string
	// Tokens has a line for every token: see Token.
	Tokens string
}

// material is what the files say. It does not change.
type material struct {
	certificate tls.Certificate
	clients     *x509.CertPool
	tokens      []Token
}

// maxFile is the size of the largest of the files, in bytes.
const maxFile = 1 << 20

// read reads all files. Errors wrap lb.ErrInvalid, lb.ErrDenied or fs.ErrNotExist, and never quote a file.
func (f Files) read() (*material, error) {
	m := &material{}
	certificate, err := readFile(f.Certificate, open)
	if err != nil {
		return nil, err
	}
	key, err := readFile(f.Key, secret)
	if err != nil {
		return nil, err
	}
	if m.certificate, err = tls.X509KeyPair(certificate, key); err != nil {
		return nil, fmt.Errorf("%s and %s: %w: %w", f.Certificate, f.Key, lb.ErrInvalid, err)
	}
	if f.ClientCA != "" {
		if m.clients, err = readPool(f.ClientCA); err != nil {
			return nil, err
		}
	}
	if f.Tokens != "" {
		text, err := readFile(f.Tokens, secret)
		if err == nil {
			m.tokens, err = parseTokens(f.Tokens, text)
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// readPool reads certificates. What is not one is an error: x509.CertPool passes over it, and a CA that one wanted to add is missing.
func readPool(path string) (*x509.CertPool, error) {
	rest, err := readFile(path, open)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for n := 0; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if n == 0 {
				return nil, fmt.Errorf("%s: %w: no certificate in PEM", path, lb.ErrInvalid)
			}
			return pool, nil
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, fmt.Errorf("%s: %w: block %d is no certificate", path, lb.ErrInvalid, n+1)
		}
		pool.AddCert(c)
	}
}

// Modes that a file may not have: open may be read by all, secret by the owner alone.
const (
	open   os.FileMode = 0o022
	secret os.FileMode = 0o077
)

// readFile reads a file that nobody but root and this user can change. It looks at what it has opened, not at what the name leads to
// a moment later.
func readFile(path string, forbidden os.FileMode) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, lb.Denied(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = errors.Join(safedir.File(path, info), safedir.Replaceable(path))
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&forbidden != 0 {
		return nil, &exposed{path, info.Mode().Perm()}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: %w: larger than %d bytes", path, lb.ErrInvalid, maxFile)
	}
	return text, err
}

// exposed: others can read a secret.
type exposed struct {
	path string
	mode os.FileMode
}

func (e *exposed) Error() string {
	return fmt.Sprintf("%s: %v: others can read it (mode %04o)", e.path, lb.ErrDenied, e.mode)
}

// Hint says what to do.
func (e *exposed) Hint() string { return "chmod 600 " + e.path }

// Unwrap makes it lb.ErrDenied.
func (e *exposed) Unwrap() error { return lb.ErrDenied }
