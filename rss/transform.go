package rss

import "fmt"

// Transform is what a NIC does to the fields before it hashes them. The values are those
// of RXH_XFRM_* in the kernel's include/uapi/linux/ethtool.h. The zero value is
// NoTransform.
type Transform uint8

// The transforms, both symmetric: a flow and its answers have one hash. Each pair
// (addresses, ports) is hashed as (kernel's Documentation/networking/scaling.rst)
//
//	SymmetricXOR    source ^ destination, source ^ destination
//	SymmetricOrXOR  source | destination, source ^ destination
//
// The first has half the entropy, and it hashes every flow between an address and itself alike.
const (
	NoTransform    Transform = 0
	SymmetricXOR   Transform = 1 << 0
	SymmetricOrXOR Transform = 1 << 1
)

// TransformNames returns the names that ParseTransform knows.
func TransformNames() []string { return []string{"none", "symmetric-xor", "symmetric-or-xor"} }

// ParseTransform reads a name as ethtool -X xfrm takes it, or "none".
func ParseTransform(s string) (Transform, error) {
	for i, name := range TransformNames() {
		if s == name {
			return Transform(i), nil
		}
	}
	return 0, fmt.Errorf("input transform %q: want one of %q", s, TransformNames())
}

// String returns the name, or "transform-0x4" for a value that has none.
func (x Transform) String() string {
	if names := TransformNames(); int(x) < len(names) {
		return names[x]
	}
	return fmt.Sprintf("transform-%#x", uint8(x))
}

// Validate returns an error for a value that has no name.
func (x Transform) Validate() error {
	if int(x) >= len(TransformNames()) {
		return fmt.Errorf("input transform %#x is not known: want one of %q", uint8(x), TransformNames())
	}
	return nil
}

// apply transforms a pair of two halves of one length.
func (x Transform) apply(pair []byte) {
	source, destination := pair[:len(pair)/2], pair[len(pair)/2:]
	for i := range source {
		xor, or := source[i]^destination[i], source[i]|destination[i]
		switch x {
		case SymmetricXOR:
			source[i], destination[i] = xor, xor
		case SymmetricOrXOR:
			source[i], destination[i] = or, xor
		}
	}
}
