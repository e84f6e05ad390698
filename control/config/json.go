package config

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"lbctl/control/api"
	"lbctl/control/intent"
	"lbctl/lb"
)

// maxElements is how many elements the lists of a JSON text have together: a million replicas and their services.
const maxElements = 1<<20 + 1<<16

// DecodeJSON fills a wire type, to which v points, from a JSON text as strictly as a file is read: an unknown field, also one
// that is known in other letters, a field twice, null and a value of the wrong type are problems. It reads r as it goes,
// so that memory is needed for values and not for the text. Errors: *intent.Error; *SyntaxError; those of r.
func DecodeJSON(r io.Reader, v any) error { return decodeJSON(r, v, false) }

// MergeJSON changes a wire type, to which v points, by a JSON Merge Patch (RFC 7396): fields that the patch has are replaced,
// those that are null in it are left out, objects are merged, lists are replaced as a whole. It is as strict as DecodeJSON, and
// changes what v points to in part if it returns an error.
func MergeJSON(r io.Reader, v any) error { return decodeJSON(r, v, true) }

func decodeJSON(r io.Reader, v any, merge bool) error {
	d := &jsonDecoder{in: json.NewDecoder(r), fields: map[reflect.Type][]jsonField{}, merge: merge}
	d.in.UseNumber()
	err := d.document(reflect.ValueOf(v).Elem())
	var wrong *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		return &SyntaxError{fmt.Sprintf("%v, near byte %d", wrong, d.in.InputOffset()+1)}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &SyntaxError{"it ends too early"}
	case err != nil:
		return err
	}
	return d.problems.Err()
}

// SyntaxError says that a text is no JSON. It wraps lb.ErrInvalid.
type SyntaxError struct{ what string }

func (e *SyntaxError) Error() string { return "not JSON: " + e.what }

// Unwrap makes errors.Is(err, lb.ErrInvalid) true.
func (e *SyntaxError) Unwrap() error { return lb.ErrInvalid }

// jsonDecoder fills values from tokens. What it does not know it skips without recursion, so that depth costs nothing.
type jsonDecoder struct {
	in       *json.Decoder
	problems intent.Problems
	fields   map[reflect.Type][]jsonField
	elements int
	// merge: what is decoded is a patch of the value.
	merge bool
}

// jsonField is a field of a struct, also of an embedded one. most is how many elements it may have, 0 for no limit of its own.
type jsonField struct {
	name  string
	index []int
	most  int
}

func (d *jsonDecoder) document(v reflect.Value) error {
	first, err := d.in.Token()
	if errors.Is(err, io.EOF) {
		return &SyntaxError{"it is empty"}
	}
	if err != nil {
		return err
	}
	if err := d.value(v, first, nil, 0); err != nil {
		return err
	}
	if _, err = d.in.Token(); errors.Is(err, io.EOF) {
		return nil
	}
	if err == nil {
		err = &SyntaxError{"something follows the value"}
	}
	return err
}

// next returns the next token of a value that has begun.
func (d *jsonDecoder) next() (json.Token, error) {
	t, err := d.in.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}

// value fills v from the value that begins with a token.
func (d *jsonDecoder) value(v reflect.Value, t json.Token, p *path, most int) error {
	if t == nil && d.merge && p != nil {
		v.SetZero()
		return nil
	}
	if t == nil {
		d.wrong(p, "leave the field out; [] is an empty list", "null, which is no value")
		return nil
	}
	if v.Kind() == reflect.Pointer {
		fresh := reflect.New(v.Type().Elem())
		if d.merge && !v.IsNil() { // another value may share what it points to
			fresh.Elem().Set(v.Elem())
		}
		v.Set(fresh)
		v = fresh.Elem()
	}
	switch {
	case t == json.Delim('{') && v.Kind() == reflect.Struct:
		return d.object(v, p)
	case t == json.Delim('[') && v.Kind() == reflect.Slice && !isBytes(v):
		return d.list(v, p, most)
	case t == json.Delim('{'):
		d.wrong(p, wantJSON(v), "an object")
		return d.skip()
	case t == json.Delim('['):
		d.wrong(p, wantJSON(v), "a list")
		return d.skip()
	case !scalar(v, t):
		d.wrong(p, wantJSON(v), "%.100q is of the wrong type", fmt.Sprint(t))
	}
	return nil
}

// skip reads to the end of the object or list that has begun.
func (d *jsonDecoder) skip() error {
	for depth := 1; depth > 0; {
		t, err := d.next()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
	return nil
}

// skipValue reads a value.
func (d *jsonDecoder) skipValue() error {
	t, err := d.next()
	if t == json.Delim('{') || t == json.Delim('[') {
		return d.skip()
	}
	return err
}

func (d *jsonDecoder) object(v reflect.Value, p *path) error {
	known := d.fieldsOf(v.Type())
	seen := make([]bool, len(known))
	for {
		key, err := d.next()
		if err != nil {
			return err
		}
		name, more := key.(string)
		if !more { // the brace at the end
			return nil
		}
		below := &path{up: p, name: name, index: -1}
		i := slices.IndexFunc(known, func(f jsonField) bool { return f.name == name })
		switch {
		case i < 0:
			d.unknown(below, known)
			err = d.skipValue()
		case seen[i]:
			d.wrong(below, "write it once", "a field twice")
			err = d.skipValue()
		default:
			seen[i] = true
			var t json.Token
			if t, err = d.next(); err == nil {
				err = d.value(v.FieldByIndex(known[i].index), t, below, known[i].most)
			}
		}
		if err != nil {
			return err
		}
	}
}

func (d *jsonDecoder) list(v reflect.Value, p *path, most int) error {
	v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	merge := d.merge
	defer func() { d.merge = merge }()
	d.merge = false // a list is replaced
	for n := 0; ; n++ {
		t, err := d.next()
		if err != nil || t == json.Delim(']') {
			return err
		}
		if d.elements++; d.elements > maxElements || most > 0 && n == most {
			d.wrong(p, "want fewer, in several requests where that is possible", "more than %d elements", n)
			if t == json.Delim('[') || t == json.Delim('{') {
				if err := d.skip(); err != nil {
					return err
				}
			}
			return d.skip()
		}
		if v.Len() == v.Cap() {
			v.Grow(1)
		}
		v.SetLen(n + 1)
		if err := d.value(v.Index(n), t, &path{up: p, index: n}, 0); err != nil {
			return err
		}
	}
}

// scalar sets v to a token, and tells whether it can.
func scalar(v reflect.Value, t json.Token) bool {
	switch t := t.(type) {
	case string:
		if isBytes(v) {
			b, err := base64.StdEncoding.DecodeString(t)
			v.SetBytes(b)
			return err == nil
		}
		// The decoder puts this character in the place of bytes that are no UTF-8.
		if v.Kind() != reflect.String || strings.ContainsRune(t, utf8.RuneError) {
			return false
		}
		v.SetString(t)
	case json.Number:
		if v.CanInt() {
			n, err := strconv.ParseInt(t.String(), 10, 64)
			if err != nil || v.OverflowInt(n) {
				return false
			}
			v.SetInt(n)
			return true
		}
		n, err := strconv.ParseUint(t.String(), 10, 64)
		if !v.CanUint() || err != nil || v.OverflowUint(n) {
			return false
		}
		v.SetUint(n)
	case bool:
		if v.Kind() != reflect.Bool {
			return false
		}
		v.SetBool(t)
	}
	return true
}

func isBytes(v reflect.Value) bool { return v.Type() == reflect.TypeFor[[]byte]() }

func (d *jsonDecoder) wrong(p *path, hint, reason string, args ...any) {
	field := ""
	if !d.problems.Full() { // the text of a path is work
		field = p.String()
	}
	d.problems.Add(field, hint, reason, args...)
}

func (d *jsonDecoder) unknown(p *path, known []jsonField) {
	hint := ""
	if !d.problems.Full() {
		names := make([]string, len(known))
		for i, f := range known {
			names[i] = f.name
		}
		hint = suggest(p.name, names)
	}
	d.wrong(p, hint, "unknown field")
}

func (d *jsonDecoder) fieldsOf(t reflect.Type) []jsonField {
	known, ok := d.fields[t]
	if !ok {
		for _, f := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous || name == "" {
				continue
			}
			most, _ := strconv.Atoi(f.Tag.Get("maxItems")) // 0 where there is none
			known = append(known, jsonField{name, f.Index, most})
		}
		d.fields[t] = known
	}
	return known
}

// wantJSON says in words what a value looks like.
func wantJSON(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[api.Duration]():
		return `want a time span with its unit: "90s", "10m"`
	case isBytes(v):
		return "want base64 in quotes"
	case v.Kind() == reflect.String:
		return "want text in quotes, in UTF-8"
	case v.CanInt(), v.CanUint():
		return "want a whole number without quotes"
	case v.Kind() == reflect.Bool:
		return "want true or false"
	case v.Kind() == reflect.Slice:
		return "want a list: [], or its elements in brackets"
	}
	return "want an object: {}, or its fields in braces"
}
