package tables

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"unicode"

	"lbctl/bpf"
	"lbctl/rss/packet"
)

// Differences says in words in which fields two rows differ, by the names that the fields have in C.
func Differences[T any](want, have T) (wanted, had string) {
	var d differences
	d.add("", reflect.ValueOf(want), reflect.ValueOf(have))
	return strings.Join(d.want, ", "), strings.Join(d.have, ", ")
}

type differences struct{ want, have []string }

func (d *differences) add(name string, want, have reflect.Value) {
	if want.Equal(have) {
		return
	}
	_, endpoint := want.Interface().(bpf.LbEndpoint)
	switch kind := want.Kind(); {
	case kind == reflect.Struct && !endpoint:
		for i, field := range want.Fields() {
			if i.IsExported() {
				d.add(strings.TrimPrefix(name+"."+inC(i.Name), "."), field, have.FieldByIndex(i.Index))
			}
		}
	case kind == reflect.Array && want.Type().Elem().Kind() != reflect.Uint8:
		for i := range want.Len() {
			d.add(fmt.Sprintf("%s[%d]", name, i), want.Index(i), have.Index(i))
		}
	default:
		d.want, d.have = append(d.want, name+" "+inWords(want)), append(d.have, name+" "+inWords(have))
	}
}

// inWords writes a number, an endpoint, or an address, port or MAC address in network byte order.
func inWords(v reflect.Value) string {
	if e, is := v.Interface().(bpf.LbEndpoint); is {
		return EndpointName(e)
	}
	if v.Kind() != reflect.Array {
		return fmt.Sprint(v)
	}
	bytes := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(bytes), v)
	switch len(bytes) {
	case 2:
		return fmt.Sprint(binary.BigEndian.Uint16(bytes))
	case 6:
		return net.HardwareAddr(bytes).String()
	case 16:
		return netip.AddrFrom16([16]byte(bytes)).Unmap().String()
	}
	return fmt.Sprintf("%x", bytes)
}

// EndpointName writes what an index finds: "tcp 192.0.2.1:80", or the address alone of the row for an address.
func EndpointName(e bpf.LbEndpoint) string {
	if e.Protocol == 0 && e.Port == [2]uint8{} {
		return e.AddrPort().Addr().String()
	}
	return fmt.Sprintf("%v %v", packet.Protocol(e.Protocol), e.AddrPort())
}

// inC returns the name in C of a field: table_size of TableSize.
func inC(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
