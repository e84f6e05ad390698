package config

import (
	"bytes"
	"reflect"
	"regexp"
	"slices"
	"strconv"
)

// plain reads a document of the simplest YAML, which is what large files are: mappings and lists in lines, or in brackets
// within one, of texts and whole numbers, all of the right names and types. It reads 100,000 replicas in a tenth of the
// time and of the memory that the YAML package takes. Whatever is out of the ordinary, or wrong, it leaves to
// that package: it never judges.
type plain struct {
	decoder
	rest []byte
	// line is the present one without its indentation and comment; nil at the end.
	line   []byte
	indent int
	// lengths are those of the last list of each type: the next one is likely as long.
	lengths map[reflect.Type]int
}

// readPlain fills v from a text and reports whether it could. If not, v may be filled in part.
func readPlain(v reflect.Value, text []byte) bool {
	if slices.ContainsFunc(text, func(c byte) bool { return c < ' ' && c != '\n' }) {
		return false
	}
	p := &plain{decoder: decoder{fields: map[reflect.Type][]field{}}, rest: text, lengths: map[reflect.Type]int{}}
	p.next()
	return p.line != nil && p.indent == 0 && p.block(v) && p.line == nil
}

// next goes to the next line that is not empty.
func (p *plain) next() {
	for len(p.rest) > 0 {
		p.line, p.rest, _ = bytes.Cut(p.rest, []byte("\n"))
		text := bytes.TrimLeft(p.line, " ")
		p.indent = len(p.line) - len(text)
		if comment := bytes.Index(p.line, []byte(" #")); comment >= 0 {
			text = text[:max(comment-p.indent, 0)]
		}
		if p.line = bytes.TrimRight(text, " "); len(p.line) > 0 && p.line[0] != '#' {
			return
		}
	}
	p.line, p.indent = nil, -1
}

// block reads the mapping or list that begins on the line.
func (p *plain) block(v reflect.Value) bool {
	v = filled(v)
	switch isElement := bytes.HasPrefix(p.line, []byte("- ")); {
	case isElement && v.Kind() == reflect.Slice:
		return p.list(v)
	case !isElement && v.Kind() == reflect.Struct:
		return p.mapping(v)
	}
	return false
}

// filled returns what a pointer points to then.
func filled(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return v.Elem()
	}
	return v
}

func (p *plain) mapping(v reflect.Value) bool {
	indent, had := p.indent, fieldSet(0)
	for p.indent == indent && p.line[0] != '-' {
		f, text, ok := p.key(v, p.line, &had)
		switch {
		case !ok:
			return false
		case len(text) > 0:
			if text, ok = p.value(f, text, false); !ok || len(text) > 0 {
				return false
			}
			p.next()
			continue
		}
		p.next()
		if p.indent < indent || p.indent == indent && p.line[0] != '-' || !p.block(f) {
			return false
		}
	}
	return p.indent <= indent
}

func (p *plain) list(v reflect.Value) bool {
	indent := p.indent
	v.Set(reflect.MakeSlice(v.Type(), 0, max(1, p.lengths[v.Type()])))
	for p.indent == indent && bytes.HasPrefix(p.line, []byte("- ")) {
		text := bytes.TrimLeft(p.line[2:], " ")
		p.indent += len(p.line) - len(text)
		p.line = text
		element := grown(v)
		if element.Kind() == reflect.Struct && text[0] != '{' {
			if text[0] == '-' || !p.mapping(element) {
				return false
			}
			continue
		}
		if text, ok := p.value(element, text, false); !ok || len(text) > 0 {
			return false
		}
		p.next()
	}
	p.lengths[v.Type()] = v.Len()
	return p.indent <= indent
}

// grown adds an element to a list.
func grown(v reflect.Value) reflect.Value {
	n := v.Len()
	v.Grow(1)
	v.SetLen(n + 1)
	return v.Index(n)
}

// fieldSet are the fields that a mapping has had.
type fieldSet uint64

// key reads a key, which the struct v has and the mapping has not had, and returns its field and what follows.
func (p *plain) key(v reflect.Value, text []byte, had *fieldSet) (f reflect.Value, rest []byte, ok bool) {
	end := bytes.IndexByte(text, ':')
	if end < 0 || end+1 < len(text) && text[end+1] != ' ' {
		return f, nil, false
	}
	known := p.fieldsOf(v.Type())
	n := slices.IndexFunc(known, func(f field) bool { return f.name == string(text[:end]) })
	if n < 0 || n >= 64 || *had&(1<<n) != 0 {
		return f, nil, false
	}
	*had |= 1 << n
	return v.Field(known[n].index), bytes.TrimLeft(text[end+1:], " "), true
}

// value reads what is on one line, and returns what follows it.
func (p *plain) value(v reflect.Value, text []byte, inBrackets bool) (rest []byte, ok bool) {
	if len(text) == 0 {
		return nil, false
	}
	v = filled(v)
	switch kind := v.Kind(); {
	case text[0] == '{' && kind == reflect.Struct:
		var had fieldSet
		return p.inBrackets(text[1:], '}', func(text []byte) ([]byte, bool) {
			f, text, ok := p.key(v, text, &had)
			if !ok {
				return nil, false
			}
			return p.value(f, text, true)
		})
	case text[0] == '[' && kind == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return p.inBrackets(text[1:], ']', func(text []byte) ([]byte, bool) { return p.value(grown(v), text, true) })
	case kind == reflect.String:
		return plainText(v, text, inBrackets)
	case kind == reflect.Int64:
		n, rest, ok := wholeNumber(text)
		v.SetInt(n)
		return rest, ok
	}
	return nil, false
}

// inBrackets reads elements up to the closing bracket, and returns what follows.
func (p *plain) inBrackets(text []byte, end byte, element func([]byte) ([]byte, bool)) (rest []byte, ok bool) {
	if len(text) > 0 && text[0] == end {
		return text[1:], true
	}
	for {
		if text, ok = element(text); !ok || len(text) == 0 {
			return nil, false
		}
		switch {
		case text[0] == end:
			return text[1:], true
		case !bytes.HasPrefix(text, []byte(", ")):
			return nil, false
		}
		text = bytes.TrimLeft(text, ", ")
	}
}

var (
	// word is text that no reader of YAML takes for a number, a truth or nothing: it has a letter, and is none of notText; or
	// it is an address, a prefix, a span of time or a time.
	word    = regexp.MustCompile(`^(?:[A-Za-z/][A-Za-z0-9_./-]*|[0-9]+(?:\.[0-9]+){3}(?:[:/][0-9]+)?|(?:[0-9]+(?:ms|[smh]))+|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z)`)
	notText = regexp.MustCompile(`^(?i:null|true|false|yes|no|on|off|y|n|inf|infinity|nan)$`)
)

// plainText reads a text, in quotes or not.
func plainText(v reflect.Value, text []byte, inBrackets bool) (rest []byte, ok bool) {
	if text[0] == '"' {
		n := 1 + span(text[1:], isQuoted)
		if n == len(text) || text[n] != '"' {
			return text, false
		}
		v.SetString(string(text[1:n]))
		return text[n+1:], true
	}
	found := text[:addressLength(text)]
	if len(found) == 0 {
		if found = word.Find(text); found == nil || notText.Match(found) {
			return text, false
		}
	}
	rest = text[len(found):]
	v.SetString(string(found))
	return rest, len(rest) == 0 || inBrackets && bytes.IndexByte([]byte(",}]"), rest[0]) >= 0
}

// isQuoted reports whether a character has no meaning in quotes.
func isQuoted(c byte) bool { return c >= ' ' && c <= '~' && c != '"' && c != '\\' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// span returns how many characters at the beginning of a text are of a kind.
func span(text []byte, is func(byte) bool) int {
	n := 0
	for n < len(text) && is(text[n]) {
		n++
	}
	return n
}

// addressLength is how long the IPv4 address with a port is with which a text begins, 0 if it begins with none. Nearly all that a
// large file has to say is of this kind, and the expression of words takes five times as long to find it.
func addressLength(text []byte) int {
	at := 0
	for _, after := range []byte("...:") {
		n := span(text[at:], isDigit)
		if at += n; n == 0 || at == len(text) || text[at] != after {
			return 0
		}
		at++
	}
	if n := span(text[at:], isDigit); n > 0 {
		return at + n
	}
	return 0
}

// wholeNumber returns the decimal number, of at most 18 digits, with which a text begins.
func wholeNumber(text []byte) (n int64, rest []byte, ok bool) {
	digits := span(text, isDigit)
	if digits == 0 || digits > 18 || digits > 1 && text[0] == '0' {
		return 0, text, false
	}
	n, err := strconv.ParseInt(string(text[:digits]), 10, 64)
	return n, text[digits:], err == nil
}
