package tables

import (
	"slices"
	"unsafe"

	"lbctl/bpf"
)

// Address is the row of services for an address that VIPs have. Packets without ports look it up: echo requests and
// fragments; and those to a port that no service has as the only or first one, for the ranges of ports in it.
type Address struct {
	// At is the row.
	At uint32
	// Services is the number of VIPs with the address.
	Services int
	// Ranges are those in the row. The zero value is a gap.
	Ranges [len(bpf.LbAddressRow{}.Ranges)]bpf.LbPortRange
}

// Row returns the row as it stands among the services.
func (a *Address) Row(address bpf.LbEndpoint) bpf.LbService {
	row := bpf.LbAddressRow{Vip: address, Ranges: a.Ranges}
	return *(*bpf.LbService)(unsafe.Pointer(&row))
}

// Read takes over the ranges of the row.
func (a *Address) Read(t *Tables) { a.Ranges = a.row(t).Ranges }

func (a *Address) row(t *Tables) *bpf.LbAddressRow {
	return (*bpf.LbAddressRow)(unsafe.Pointer(t.Services.Row(a.At)))
}

// SwapRange writes a range of ports in the place of another one, by one store; the zero value is none. There must be room.
func (a *Address) SwapRange(t *Tables, was, is bpf.LbPortRange) {
	at := slices.Index(a.Ranges[:], was)
	a.Ranges[at] = is
	t.Steps.store64((*uint64)(unsafe.Pointer(&a.row(t).Ranges[at])), *(*uint64)(unsafe.Pointer(&is)))
}

// HasRanges reports whether there is a range of ports.
func (a *Address) HasRanges() bool { return a.Ranges != [len(a.Ranges)]bpf.LbPortRange{} }

// Ranged is how packets are told whether there is a range of ports at any address.
func Ranged(is bool) uint16 {
	if is {
		return 1
	}
	return 0
}

// SetRanged tells packets whether there is a range of ports at any address: whether they look for one. It reports whether that is
// news.
func (t *Tables) SetRanged(is bool) bool {
	row := t.settings.Row(0)
	changed := bpf.LbSetting{Schema: row.Schema, Ranged: Ranged(is)}
	if row.Ranged == changed.Ranged {
		return false
	}
	t.Steps.store32((*uint32)(unsafe.Pointer(&row.Schema)), *(*uint32)(unsafe.Pointer(&changed.Schema)))
	return true
}
