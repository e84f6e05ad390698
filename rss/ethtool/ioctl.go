package ethtool

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"lbctl/rss"
)

// The ioctl's commands, and the lengths in bytes of its structs.
const (
	getDriver     = 0x03 // struct ethtool_drvinfo
	getFields     = 0x29 // struct ethtool_rxnfc, of which its first three members
	setFields     = 0x2a
	getRings      = 0x2d // the same
	getSetSizes   = 0x37 // struct ethtool_sset_info with one size
	getStrings    = 0x1b // struct ethtool_gstrings, then names
	getStatistics = 0x1d // struct ethtool_stats, then numbers of 8 bytes
	getChannels   = 0x3c // struct ethtool_channels
	getRSS        = 0x46 // struct ethtool_rxfh
	setRSS        = 0x47

	driverLength   = 196
	fieldsLength   = 16
	channelsLength = 36
	rssLength      = 24 // then the table's entries of 4 bytes, then the key

	setSizesLength   = 20
	stringsLength    = 12
	statisticsLength = 8
	nameLength       = 32 // ETH_GSTRING_LEN
)

// statistics is ETH_SS_STATS, the set of names of a driver's statistics.
const statistics = 1

// keepTable is ETH_RXFH_INDIR_NO_CHANGE; a size of 0 asks for the default table.
const keepTable = 0xffff_ffff

var native = binary.NativeEndian

func command(c uint32, length int) []byte {
	b := make([]byte, length)
	native.PutUint32(b, c)
	return b
}

// decodeDriver reads a struct ethtool_drvinfo: command, then driver, version, firmware and
// bus, 32 bytes each.
func decodeDriver(b []byte) (driver, bus string) {
	text := func(from int) string {
		name, _, _ := bytes.Cut(b[from:from+32], []byte{0})
		return string(name)
	}
	return text(4), text(100)
}

// decodeChannels reads a struct ethtool_channels: four maxima, four counts.
func decodeChannels(b []byte) Channels {
	at := func(i int) int { return int(native.Uint32(b[4+4*i:])) }
	return Channels{
		MaxRX: at(0), MaxTX: at(1), MaxOther: at(2), MaxCombined: at(3),
		RX: at(4), TX: at(5), Other: at(6), Combined: at(7),
	}
}

// encodeFields makes a struct ethtool_rxnfc: command, flow type, data.
func encodeFields(c, flowType uint32, f rss.Fields) []byte {
	b := command(c, fieldsLength)
	native.PutUint32(b[4:], flowType)
	native.PutUint64(b[8:], uint64(f))
	return b
}

func decodeFields(b []byte) uint64 { return native.Uint64(b[8:]) }

// rssSizes returns the number of entries and of key bytes of a struct ethtool_rxfh.
func rssSizes(b []byte) (table, key int) {
	return int(native.Uint32(b[8:])), int(native.Uint32(b[12:]))
}

// encodeRSS makes a struct ethtool_rxfh with room for a table and a key.
func encodeRSS(c uint32, tableSize uint32, table rss.Table, keySize int, transform rss.Transform) []byte {
	b := command(c, rssLength+4*len(table)+keySize)
	native.PutUint32(b[8:], tableSize)
	native.PutUint32(b[12:], uint32(keySize))
	b[17] = byte(transform)
	for i, q := range table {
		native.PutUint32(b[rssLength+4*i:], uint32(q))
	}
	return b
}

// decodeRSS reads a struct ethtool_rxfh with its table and key.
func decodeRSS(b []byte, s *Settings) error {
	if len(b) < rssLength {
		return fmt.Errorf("rss of %d bytes: want at least %d", len(b), rssLength)
	}
	entries, key := rssSizes(b)
	if want := rssLength + 4*entries + key; len(b) < want {
		return fmt.Errorf("rss of %d bytes: a table of %d entries and a key of %d bytes need %d", len(b), entries, key, want)
	}
	table, err := decodeTable(b[rssLength : rssLength+4*entries])
	if err != nil {
		return err
	}
	s.Table, s.Key = table, bytes.Clone(b[rssLength+4*entries:][:key])
	s.setFunctions(uint64(b[16]))
	s.Transform = rss.Transform(b[17])
	return nil
}

// decodeTable reads queue numbers of 4 bytes each.
func decodeTable(b []byte) (rss.Table, error) {
	t := make(rss.Table, len(b)/4)
	for i := range t {
		q := native.Uint32(b[4*i:])
		if q >= rss.MaxQueues {
			return nil, fmt.Errorf("entry %d of the table names queue %d: want below %d", i, q, rss.MaxQueues)
		}
		t[i] = rss.Queue(q)
	}
	return t, nil
}
