package datapath

import (
	"net/netip"

	"lbctl/bpf"
	"lbctl/lb"
)

// addressRow is the row for an address that VIPs have. Packets without ports look it up: echo requests and
// fragments.
type addressRow struct {
	at uint32
	// services is the number of VIPs with the address.
	services int
}

// addressKey is the endpoint of such a row. Its port and protocol are 0, which no VIP has.
func addressKey(a netip.Addr) bpf.LbEndpoint { return bpf.Endpoint(netip.AddrPortFrom(a, 0), 0) }

// addAddress makes the address of a VIP visible to packets. Errors: lb.ErrFull; then nothing has changed.
func (d *Datapath) addAddress(v lb.VIP) error {
	a := v.Address.Addr()
	if row, ok := d.addresses[a]; ok {
		row.services++
		return nil
	}
	at, err := d.take(&d.ids.rows, 1, "the row of the address", v, rowsFor(d.options.Limits))
	if err != nil {
		return err
	}
	d.tables.services.rows[at] = bpf.LbService{Vip: addressKey(a)}
	if err := d.tables.serviceAt().add(addressKey(a), at); err != nil {
		d.ids.rows.release(at, 1)
		return err
	}
	d.addresses[a] = &addressRow{at: at, services: 1}
	return nil
}

// removeAddress makes the address of a removed VIP invisible, unless another VIP has it.
func (d *Datapath) removeAddress(a netip.Addr) {
	row := d.addresses[a]
	if row.services--; row.services > 0 {
		return
	}
	d.tables.serviceAt().remove(addressKey(a), row.at)
	delete(d.addresses, a)
	d.deferFree(func() { d.ids.rows.release(row.at, 1) })
}

// address returns the row of an address; if there is none, a new one without number and services.
func (d *Datapath) address(a netip.Addr) *addressRow {
	if d.addresses[a] == nil {
		d.addresses[a] = &addressRow{}
	}
	return d.addresses[a]
}
