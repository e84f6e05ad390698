package show

import (
	"bufio"
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzIndenter: JSON is indented as encoding/json does it, wherever it is cut on its way.
func FuzzIndenter(f *testing.F) {
	for _, text := range []string{`{}`, `[]`, `{"a":[],"b":{}}`, `{"a":[1,-2.5e3,true,null,"x"],"b":{"c":[{"d":"e"},{}]}}`, ` [ 1 , [ ] , { "a" : { } } ] `,
		`"a \" { [ , : \\"`, `{"\\":"\\\"","\u0022":"}"}`, `7`, `[[[]],[[],[{"a":[1]}]]]`} {
		f.Add(text, 3)
	}
	f.Fuzz(func(t *testing.T, text string, piece int) {
		var want, got bytes.Buffer
		if json.Indent(&want, bytes.TrimSpace([]byte(text)), "", "  ") != nil {
			return
		}
		i := &indenter{out: bufio.NewWriter(&got)}
		piece = max(piece, 1)
		for rest := append(bytes.TrimSpace([]byte(text)), '\n'); len(rest) > 0; {
			n := min(piece, len(rest))
			i.Write(rest[:n])
			rest = rest[n:]
		}
		i.out.Flush()
		if want.WriteByte('\n'); got.String() != want.String() {
			t.Errorf("%q: %q want %q", text, got.String(), want.String())
		}
	})
}
