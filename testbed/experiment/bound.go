package experiment

import "fmt"

// Within returns an error, which wraps ErrParameter, if a parameter's value is out of bounds.
func Within(name string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%w %s=%d: want %d to %d", ErrParameter, name, value, low, high)
	}
	return nil
}
