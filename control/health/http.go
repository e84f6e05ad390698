package health

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"

	"lbctl/control/intent"
)

const (
	// maxHead is how much is read for the head of an answer, maxBody how much of its body is looked at.
	maxHead, maxBody = 16 << 10, 64 << 10
	// mostInformational is how many answers of status 1xx may come before the one that counts.
	mostInformational = 4
)

// errHead is what reading ends with in a head that is too long.
var errHead = fmt.Errorf("the head of the answer is longer than %d KiB", maxHead>>10)

// bounded reads at most so much, and then fails.
type bounded struct {
	from io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errHead
	}
	n, err := b.from.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// probeHTTP asks once, over a connection of its own. Redirects are not followed: they are a status like others.
func probeHTTP(ctx context.Context, d *net.Dialer, to netip.AddrPort, check intent.Check) error {
	c, err := connect(ctx, d, to)
	if err != nil {
		return err
	}
	defer c.Close()
	defer within(ctx, c)()
	var over net.Conn = c
	if check.Type == intent.CheckHTTPS {
		secure := tls.Client(c, &tls.Config{ServerName: check.ServerName, InsecureSkipVerify: check.AnyCertificate, NextProtos: []string{"http/1.1"}})
		if err := secure.HandshakeContext(ctx); err != nil {
			return &during{"TLS", fmt.Errorf("TLS: %w", err)}
		}
		over = secure
	}
	host := check.Host
	if host == "" {
		host = to.String()
	}
	if _, err := fmt.Fprintf(over, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: lbctl\r\nAccept: */*\r\nConnection: close\r\n\r\n", check.Path, host); err != nil {
		return &during{"send", err}
	}
	limit := &bounded{over, maxHead}
	in := bufio.NewReader(limit)
	answer, err := readAnswer(in)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if !check.Status.Has(answer.StatusCode) {
		return fmt.Errorf("status %d, want %s", answer.StatusCode, check.Status)
	}
	if check.Body == "" {
		return nil
	}
	limit.left = 2 * maxBody // with what chunks add
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	switch {
	case bytes.Contains(body, []byte(check.Body)):
		return nil
	case errors.Is(err, errHead):
		return errors.New("the body of the answer is longer than is read, and what is expected is not in it")
	case err != nil:
		return &during{"read the body", err}
	}
	return fmt.Errorf("status %d, and the body does not contain what is expected", answer.StatusCode)
}

// readAnswer reads the head of the answer that counts.
func readAnswer(in *bufio.Reader) (*http.Response, error) {
	for range mostInformational + 1 {
		answer, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
		switch {
		case errors.Is(err, errHead):
			return nil, errHead
		case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
			return nil, errors.New("the connection ended before the answer")
		case err != nil:
			return nil, &during{"wait for an answer", err}
		case answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols:
			return answer, nil
		}
	}
	return nil, errors.New("no end of informational answers")
}
