package setup

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"lbctl/rss"
)

// maxFile is the most bytes of a file with a table or a key.
const maxFile = 4 << 20

// fileOf is what the JSON of rss plan, rss show and ethtool --json -x says of a table and a key.
type fileOf struct {
	Table rss.Table `json:"table"`
	Key   string    `json:"key"`
	// Queues are the receive queues of rss show.
	Queues int `json:"queue_count"`
	// Indirection is the table of ethtool --json -x.
	Indirection rss.Table `json:"rss-indirection-table"`
}

// ReadTable reads an indirection table from a file: what ethtool -x prints, as text or JSON, or the JSON of rss plan or rss show.
// queues is the number of receive queues that the file tells, 0 where it tells none.
func ReadTable(name string) (table rss.Table, queues int, err error) {
	text, err := readText(name)
	if err != nil {
		return nil, 0, err
	}
	if first := strings.TrimSpace(text); strings.HasPrefix(first, "{") || strings.HasPrefix(first, "[") {
		var one fileOf
		if err := decodeFirst(first, &one); err != nil {
			return nil, 0, fmt.Errorf("read table of %s: %w", name, err)
		}
		table, queues = one.Table, one.Queues
		if table == nil {
			table = one.Indirection
		}
	} else if table, queues, err = rss.ParseTable(text); err != nil {
		return nil, 0, fmt.Errorf("read table of %s: %w", name, err)
	}
	if len(table) == 0 || len(table) > rss.MaxTableSize {
		return nil, 0, fmt.Errorf("read table of %s: %d entries: want 1 to %d", name, len(table), rss.MaxTableSize)
	}
	return table, queues, nil
}

// decodeFirst decodes an object, or the first one of a list.
func decodeFirst(text string, into *fileOf) error {
	if text[0] == '{' {
		return json.NewDecoder(strings.NewReader(text)).Decode(into)
	}
	var list []fileOf
	err := json.NewDecoder(strings.NewReader(text)).Decode(&list)
	if err == nil && len(list) > 0 {
		*into = list[0]
	}
	return err
}

// ParseKey reads a key in the words of rss.ParseKey, or from a file with @FILE: such words, what ethtool -x prints, or the
// JSON of rss show.
func ParseKey(text string) (rss.Key, error) {
	name, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return rss.ParseKey(text)
	}
	text, err := readText(name)
	if err != nil {
		return nil, err
	}
	var one fileOf
	if first := strings.TrimSpace(text); strings.HasPrefix(first, "{") && decodeFirst(first, &one) == nil && one.Key != "" {
		text = one.Key
	}
	key, err := rss.ParseKey(strings.TrimSpace(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return key, nil
}

// readText reads a file of a bounded length.
func readText(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("read %s: more than %d bytes", name, maxFile)
	}
	return string(b), err
}
