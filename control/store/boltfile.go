package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// boltBuckets are the entries of a bbolt file by bucket and key.
type boltBuckets map[string]map[string][]byte

// The format of bbolt (go.etcd.io/bbolt/internal/common, page.go and meta.go), on a little-endian machine. A page
// has a header: id 8 bytes, flags 2, number of elements 2, pages that follow as part of it 4. Pages 0 and 1 are metas.
const (
	boltPageHeader = 16
	boltBranch     = 1 << 0
	boltLeaf       = 1 << 1
	boltIsBucket   = 1 << 0 // in the flags of an element of a leaf
	boltMagic      = 0xED0CDAED
	boltMetaSize   = 64 // up to its checksum and with it
)

var le = binary.LittleEndian

// isBolt tells whether a file is a bbolt file, damaged or not.
func isBolt(f handle) bool {
	var magic [4]byte
	_, err := f.ReadAt(magic[:], boltPageHeader)
	return err == nil && le.Uint32(magic[:]) == boltMagic
}

// boltReader reads a bbolt file as plain bytes. The library maps the file and trusts it: a short one ends the
// process by a signal, a wrong page number by a panic or by a loop without end.
type boltReader struct {
	file     []byte
	pageSize uint64
	seen     map[uint64]bool // pages that are part of a tree, each of one
}

var errBolt = errors.New("not a valid bbolt file")

// readBolt returns what is in a file. The error wraps errBolt.
func readBolt(file []byte) (boltBuckets, error) {
	r := &boltReader{file: file, seen: map[uint64]bool{}}
	root, err := r.meta()
	if err != nil {
		return nil, err
	}
	all := boltBuckets{}
	err = r.page(root, func(name, value []byte, isBucket bool) error {
		if !isBucket || len(value) < 16 {
			return fmt.Errorf("%w: the root has an entry %q that is no bucket", errBolt, name)
		}
		entries := map[string][]byte{}
		all[string(name)] = entries
		add := func(key, value []byte, _ bool) error { entries[string(key)] = value; return nil }
		if page := le.Uint64(value); page != 0 {
			return r.page(page, add)
		}
		return r.elements(value[16:], add) // a small bucket is in the place of its page
	})
	return all, err
}

// meta returns the root page of the latest transaction. Both metas have to be valid: where one is damaged the
// other one may be older.
func (r *boltReader) meta() (root uint64, err error) {
	var latest uint64
	for n := range uint64(2) {
		at := n * r.pageSize
		if uint64(len(r.file)) < at+boltPageHeader+boltMetaSize {
			return 0, fmt.Errorf("%w: %d bytes", errBolt, len(r.file))
		}
		m := r.file[at+boltPageHeader:][:boltMetaSize]
		sum := fnv.New64a()
		sum.Write(m[:56])
		if le.Uint32(m) != boltMagic || le.Uint32(m[4:]) != 2 || sum.Sum64() != le.Uint64(m[56:]) {
			return 0, fmt.Errorf("%w: meta page %d", errBolt, n)
		}
		r.pageSize = max(uint64(le.Uint32(m[8:])), boltPageHeader+boltMetaSize)
		if pages := le.Uint64(m[40:]); pages > uint64(len(r.file))/r.pageSize {
			return 0, fmt.Errorf("%w: cut short: %d bytes of %d pages of %d", errBolt, len(r.file), pages, r.pageSize)
		}
		if transaction := le.Uint64(m[48:]); n == 0 || transaction > latest {
			latest, root = transaction, le.Uint64(m[16:])
		}
	}
	return root, nil
}

// page calls visit for every entry below a page.
func (r *boltReader) page(id uint64, visit func(key, value []byte, isBucket bool) error) error {
	pages := uint64(len(r.file)) / r.pageSize
	if id < 2 || id >= pages || r.seen[id] {
		return fmt.Errorf("%w: page %d", errBolt, id)
	}
	r.seen[id] = true
	page := r.file[id*r.pageSize:]
	follow := uint64(le.Uint32(page[12:]))
	if le.Uint64(page) != id || follow >= pages-id {
		return fmt.Errorf("%w: page %d", errBolt, id)
	}
	return r.elements(page[:(1+follow)*r.pageSize], visit)
}

// elements calls visit for every entry of a page, or below it. Those of a branch are 16 bytes: position 4, size of the
// key 4, page 8; of a leaf: flags 4, position 4, sizes of key and value 4 each. Positions count from the element.
func (r *boltReader) elements(page []byte, visit func(key, value []byte, isBucket bool) error) error {
	if len(page) < boltPageHeader {
		return fmt.Errorf("%w: page of %d bytes", errBolt, len(page))
	}
	kind, count := le.Uint16(page[8:]), uint64(le.Uint16(page[10:]))
	for n := range count {
		at := boltPageHeader + 16*n
		if at+16 > uint64(len(page)) {
			return fmt.Errorf("%w: %d elements in a page", errBolt, count)
		}
		e := page[at:]
		switch kind {
		case boltBranch:
			if err := r.page(le.Uint64(e[8:]), visit); err != nil {
				return err
			}
		case boltLeaf:
			from, key, value := uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
			if from+key+value > uint64(len(e)) {
				return fmt.Errorf("%w: an element that ends outside its page", errBolt)
			}
			text := e[from:][:key+value]
			if err := visit(text[:key], text[key:], le.Uint32(e)&boltIsBucket != 0); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: page of kind %d", errBolt, kind)
		}
	}
	return nil
}
