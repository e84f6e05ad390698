package report

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Cell writes a value of a check or a table as a reader would: whole numbers with
// commas, other numbers with four digits or, from 1,000 on, without decimals, the rest as it is.
func Cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		return number(v)
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return thousands(v.String())
		}
		if f, err := v.Float64(); err == nil {
			return number(f)
		}
		return v.String()
	case int, int64, uint64, uint32, uint16, uint8:
		return thousands(fmt.Sprint(v))
	}
	return fmt.Sprint(v)
}

// numeric reports whether a cell is set flush right.
func numeric(v any) bool {
	switch v.(type) {
	case json.Number, float64, int, int64, uint64, uint32, uint16, uint8:
		return true
	}
	return false
}

// Numeric reports whether a column of the table holds numbers: its first row says so.
func (t Table) Numeric(column int) bool {
	return len(t.Rows) > 0 && column < len(t.Rows[0]) && numeric(t.Rows[0][column])
}

// number writes a number as a reader would: 12,345 or 0.25; from 1,000 on without decimals.
func number(n float64) string {
	if n = roundLarge(n); n == float64(int64(n)) {
		return thousands(strconv.FormatInt(int64(n), 10))
	}
	return strconv.FormatFloat(n, 'g', 4, 64)
}

func roundLarge(n float64) float64 {
	if math.Abs(n) >= 1000 && math.Abs(n) < 1e15 {
		return math.Round(n)
	}
	return n
}

// thousands puts a comma before every third digit from the right of a whole number.
func thousands(digits string) string {
	sign := ""
	if len(digits) > 0 && digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}
