package docs

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// TestPageIsOffline: nothing in it is from elsewhere, no text of the API becomes markup, and the policy allows what it has.
func TestPageIsOffline(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/docs", nil))
	body := w.Body.String()
	for _, foreign := range []string{"http:", "https:", "//cdn", "@import", "url(", "innerHTML", "document.write", "src=", "onclick"} {
		if strings.Contains(body, foreign) {
			t.Errorf("the page has %s", foreign)
		}
	}
	hashes := regexp.MustCompile(`'sha256-[A-Za-z0-9+/]{43}='`).FindAllString(w.Header().Get("Content-Security-Policy"), -1)
	if len(hashes) != 2 || hashes[0] == hashes[1] || strings.Count(body, "<script") != 1 || strings.Count(body, "<style") != 1 {
		t.Errorf("policy %s", w.Header().Get("Content-Security-Policy"))
	}
}
