// Package store keeps the revisions of the intent: who changed it, when and why, and what it was then.
// Revisions are only ever appended. The engine knows the interface; Open returns the store in a file
// of the package's own format, and storetest has one in memory and the contract that every store is tested with.
package store

import (
	"context"
	"time"

	"lbctl/control/intent"
)

// Kept is how many revisions a store keeps at the least, the latest included. Older ones may be gone.
const Kept = 100

// Entry is a line of the history: a revision without its content.
type Entry struct {
	// Number counts from 1.
	Number uint64
	// Actor is who made the change, Reason what for, Time when: UTC. They are empty in a revision
	// that was stored before stores kept them.
	Actor, Reason string
	// Origin is where the change came from: the peer of the socket, or an address; empty for the daemon itself.
	Origin string
	Time   time.Time
}

// Revision is an intent as it was stored. Number 0 is the state before the first Append.
type Revision struct {
	Entry
	Intent intent.Intent
}

// Store keeps revisions. It is safe for concurrent use.
//
// A store that other processes append to as well will need a method to watch for their revisions; the
// file has one writer, who holds the lock of its directory.
type Store interface {
	// Append stores revisions, each after the one before it and the first after the latest one, whose number the caller gives, and
	// returns the number of the last, after+len(all); those of the revisions are not used. When it returns nil, they outlive a crash
	// of the machine, and the next process that opens the store finds them. With an error none of them is there, now and later. When
	// the process dies meanwhile, Latest finds the one before them or the last one, whole. Errors: lb.ErrConflict when after is
	// not the latest; lb.ErrFull when the disk is.
	Append(ctx context.Context, after uint64, all ...Revision) (uint64, error)
	// Latest returns the last revision; number 0 with intent.Default if there is none. The error
	// wraps lb.ErrInvalid when what is stored is not an intent.
	Latest(ctx context.Context) (Revision, error)
	// Revision returns a revision by its number. Errors: lb.ErrNotFound when there is none, or it is
	// not kept any more; lb.ErrInvalid as Latest.
	Revision(ctx context.Context, number uint64) (Revision, error)
	// History lists the revisions that are kept, the latest first, at most limit of them; 0 stands for all.
	History(ctx context.Context, limit int) ([]Entry, error)
	// Close lets the store go to another process.
	Close() error
}
