package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// The part of the FUSE protocol that one folder of read-only files needs: include/uapi/linux/fuse.h, version 7.31,
// which Linux 5.4 and all later ones speak.
const (
	major, minor = 7, 31

	opLookup      = 1
	opForget      = 2
	opGetattr     = 3
	opOpen        = 14
	opRead        = 15
	opRelease     = 18
	opInit        = 26
	opInterrupt   = 36
	opDestroy     = 38
	opBatchForget = 42

	// directIO has every read come here: FOPEN_DIRECT_IO.
	directIO = 1
	rootNode = 1
)

// requestHeader is struct fuse_in_header, answerHeader struct fuse_out_header.
type (
	requestHeader struct {
		Length, Opcode uint32
		Unique, Node   uint64
		UID, GID, PID  uint32
		Extensions     uint16
		_              uint16
	}
	answerHeader struct {
		Length uint32
		Error  int32
		Unique uint64
	}
	initAnswer struct {
		Major, Minor, ReadAhead, Flags uint32
		Background, Congestion         uint16
		MaxWrite, TimeGranularity      uint32
		_                              [9]uint32
	}
	attributes struct {
		Inode, Size, Blocks            uint64
		_                              [3]uint64
		_                              [3]uint32
		Mode, Links                    uint32
		UID, GID, Device, Block, Flags uint32
	}
	entry struct {
		Node, Generation, EntryValid, AttributesValid uint64
		_                                             [2]uint32
		Attributes                                    attributes
	}
	attributesAnswer struct {
		Valid uint64
		_     [2]uint32
		Of    attributes
	}
	openAnswer struct {
		Handle    uint64
		Flags     uint32
		BackingID int32
	}
	readRequest struct {
		Handle, Offset uint64
		Size           uint32
	}
)

// valid is for how many seconds the kernel may keep what it was told of a file.
const valid = 3600

// maxWrite is told to the kernel, though nobody writes. requestSize is more than any request then has.
const maxWrite, requestSize = 4096, 64 << 10

// serve answers requests until the connection ends.
func (d *Disk) serve() {
	buffer := make([]byte, requestSize)
	for {
		n, err := d.device.Read(buffer)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINTR) {
			continue // a request was taken back
		}
		if err != nil {
			return
		}
		var h requestHeader
		body := bytes.NewReader(buffer[:n])
		if binary.Read(body, binary.NativeEndian, &h) == nil {
			d.handle(h, buffer[n-body.Len():n])
		}
	}
}

func (d *Disk) handle(h requestHeader, body []byte) {
	switch h.Opcode {
	case opInit:
		d.answer(h, 0, initAnswer{Major: major, Minor: minor, MaxWrite: maxWrite, TimeGranularity: 1})
	case opLookup:
		node, ok := d.lookup(string(bytes.TrimRight(body, "\x00")))
		if !ok {
			d.answer(h, unix.ENOENT, nil)
			return
		}
		d.answer(h, 0, entry{Node: node, EntryValid: valid, AttributesValid: valid, Attributes: attributesOf(node)})
	case opGetattr:
		d.answer(h, 0, attributesAnswer{Valid: valid, Of: attributesOf(h.Node)})
	case opOpen:
		d.answer(h, 0, openAnswer{Flags: directIO})
	case opRead:
		var r readRequest
		_, err := binary.Decode(body, binary.NativeEndian, &r)
		name, ok := d.name(h.Node)
		if err != nil || !ok {
			d.answer(h, unix.EIO, nil)
			return
		}
		d.read(h, r, name)
	case opInterrupt:
		if len(body) >= 8 {
			d.interrupt(binary.NativeEndian.Uint64(body))
		}
	case opForget, opBatchForget: // have no answer
	case opRelease, opDestroy:
		d.answer(h, 0, nil)
	default:
		d.answer(h, unix.ENOSYS, nil)
	}
}

// answer sends an error, or a value of fixed size; it fails only when nobody waits any more.
func (d *Disk) answer(h requestHeader, failure unix.Errno, value any) {
	var body []byte
	if value != nil {
		body, _ = binary.Append(nil, binary.NativeEndian, value) // which is of fixed size
	}
	d.send(h, failure, body)
}

func (d *Disk) send(h requestHeader, failure unix.Errno, body []byte) {
	const size = 16
	head := answerHeader{Length: uint32(size + len(body)), Error: -int32(failure), Unique: h.Unique}
	text, _ := binary.Append(nil, binary.NativeEndian, head)
	_, _ = d.device.Write(append(text, body...))
}

// lookup returns the node of a file, false if its name is neither Stuck nor a time.
func (d *Disk) lookup(name string) (node uint64, ok bool) {
	if takes, err := time.ParseDuration(name); name != Stuck && (err != nil || takes < 0) {
		return 0, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, known := range d.nodes {
		if known == name {
			return uint64(i) + rootNode + 1, true
		}
	}
	d.nodes = append(d.nodes, name)
	return uint64(len(d.nodes)) + rootNode, true
}

func (d *Disk) name(node uint64) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if node <= rootNode || node > uint64(len(d.nodes))+rootNode {
		return "", false
	}
	return d.nodes[node-rootNode-1], true
}

func attributesOf(node uint64) attributes {
	if node == rootNode {
		return attributes{Inode: node, Mode: unix.S_IFDIR | 0o555, Links: 2}
	}
	return attributes{Inode: node, Size: FileSize, Mode: unix.S_IFREG | 0o444, Links: 1, Block: FileSize}
}

// read answers in its time, on a goroutine of its own.
func (d *Disk) read(h requestHeader, r readRequest, name string) {
	cancel := make(chan struct{})
	d.mu.Lock()
	d.pending[h.Unique] = cancel
	if name == Stuck {
		d.stuck++
		d.changed.Broadcast()
	}
	d.mu.Unlock()
	d.reads.Go(func() {
		failure := d.wait(name, cancel)
		if failure != 0 {
			d.answer(h, failure, nil)
		} else {
			left := FileSize - min(r.Offset, FileSize)
			d.send(h, 0, bytes.Repeat([]byte{'.'}, int(min(uint64(r.Size), left))))
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.pending, h.Unique)
		if name == Stuck {
			d.stuck--
		}
	})
}

// wait takes as long as a read of the file does.
func (d *Disk) wait(name string, cancel chan struct{}) unix.Errno {
	if name == Stuck {
		select {
		case <-d.released:
			return 0
		case <-cancel:
			return unix.EINTR
		case <-d.closed:
			return unix.EIO
		}
	}
	takes, _ := time.ParseDuration(name) // which lookup has parsed
	timer := time.NewTimer(takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return 0
	case <-cancel:
		return unix.EINTR
	case <-d.closed:
		return unix.EIO
	}
}

// interrupt ends a read whose reader got a signal: it is killed.
func (d *Disk) interrupt(unique uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if cancel, ok := d.pending[unique]; ok && !isClosed(cancel) {
		close(cancel)
	}
}
