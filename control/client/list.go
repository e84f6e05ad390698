package client

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// listed gets an answer that is an object with a list of this name, and returns the list. Elements are read while the daemon still
// makes those that follow: of 100,000 replicas that are 40 MB. Errors: those of call.
func listed[E any](ctx context.Context, c *Client, path, name string) (all []E, err error) {
	response, err := c.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if err := problemOf(response); err != nil {
		return nil, err
	}
	if all, err = elements[E](&bounded{response.Body, c.most}, name); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return all, nil
}

// elements reads an object, and returns the list of this name in it: nil if there is none.
func elements[E any](from io.Reader, name string) (all []E, err error) {
	d := json.NewDecoder(bufio.NewReaderSize(from, 64<<10))
	if err := opens(d, '{'); err != nil {
		return nil, err
	}
	for d.More() {
		field, err := d.Token()
		if err != nil {
			return nil, err
		}
		if field != name {
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return nil, err
			}
			continue
		}
		if err := opens(d, '['); err != nil {
			return nil, err
		}
		for d.More() {
			var e E
			if err := d.Decode(&e); err != nil {
				return nil, err
			}
			all = append(all, e)
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return all, err
}

// opens reads the beginning of an object or a list.
func opens(d *json.Decoder, with json.Delim) error {
	t, err := d.Token()
	if err == nil && t != with {
		err = fmt.Errorf("want %v, and not %v", with, t)
	}
	return err
}
