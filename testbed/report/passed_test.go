package report

import "testing"

func TestPassed(t *testing.T) {
	good, bad := []Check{{Pass: true}}, []Check{{Pass: true}, {Pass: false}}
	if !Passed() || !Passed(good, nil, good) {
		t.Error("lists in which all passed did not pass")
	}
	if Passed(bad) || Passed(good, bad) || Passed(bad, good) {
		t.Error("a check that failed passed")
	}
}
