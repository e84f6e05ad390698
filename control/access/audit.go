package access

import (
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// Event is one request to change something, or one that was refused.
type Event struct {
	Who Identity
	// Operation is the route ("PUT /v1/services/{name}"), or what else asked for the change ("SIGHUP"). Path is the path that was asked for.
	Operation, Path string
	// Status is that of the answer, 0 where it was no request. Detail is what it says where it is a refusal.
	Status int
	Detail string
	// Revision is that of the intent afterwards; 0 where nothing changed.
	Revision uint64
	// Changes are fields with their old and new values, Omitted is how many more there were.
	Changes []string
	Omitted int
}

// The bounds of the audit log: what is repeated at will (refusals, and changes that change nothing) takes at most
// auditBurst records at once and auditRate a second; those left out are counted in the next one. Texts that a client chose are cut.
const (
	auditBurst = 100
	auditRate  = 5
	maxText    = 200
	// MaxChanges is how many fields of a change are recorded.
	MaxChanges = 32
)

// Audit writes the log of changes. It is safe for concurrent use. The zero value is not usable: see NewAudit.
type Audit struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	tokens float64
	at     time.Time
	// suppressed is how many records were left out since the last one.
	suppressed int
}

// NewAudit returns a log that has written nothing yet.
func NewAudit(log *slog.Logger, now func() time.Time) *Audit {
	return &Audit{log: log, now: now, tokens: auditBurst, at: now()}
}

// Record writes an event.
func (a *Audit) Record(e Event) {
	suppressed, write := a.admit(e.Revision != 0)
	if !write {
		return
	}
	attributes := []any{"actor", e.Who.Name, "role", e.Who.Role.String(), "from", e.Who.From, "operation", e.Operation,
		"path", bounded(e.Path)}
	if e.Status != 0 {
		attributes = append(attributes, "status", e.Status)
	}
	if e.Revision != 0 {
		attributes = append(attributes, "revision", e.Revision)
	}
	if len(e.Changes) > 0 {
		attributes = append(attributes, "changes", e.Changes)
	}
	if e.Omitted > 0 {
		attributes = append(attributes, "changes_omitted", e.Omitted)
	}
	if e.Detail != "" {
		attributes = append(attributes, "refused", bounded(e.Detail))
	}
	if suppressed > 0 {
		attributes = append(attributes, "records_suppressed", suppressed)
	}
	a.log.Info("audit", attributes...)
}

// admit tells whether to write a record, and how many were left out before it. A change is always written: it is stored on disk, too.
func (a *Audit) admit(changed bool) (suppressed int, write bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.tokens = min(auditBurst, a.tokens+auditRate*max(0, now.Sub(a.at).Seconds()))
	a.at = now
	if !changed && a.tokens < 1 {
		a.suppressed++
		return 0, false
	}
	if !changed {
		a.tokens--
	}
	suppressed, a.suppressed = a.suppressed, 0
	return suppressed, true
}

// Change adds a field with its old and new value.
func (e *Event) Change(field, before, after string) {
	e.Changes = append(e.Changes, bounded(field+": "+orNone(before)+" > "+orNone(after)))
}

func orNone(value string) string {
	if value == "" {
		return "none"
	}
	return value
}

// bounded cuts a text.
func bounded(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText] + "... (" + strconv.Itoa(len(text)) + " bytes)"
}
