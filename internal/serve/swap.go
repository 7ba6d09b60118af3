package serve

import (
	"cmp"
	"net/http"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/place"
)

// swapRequest is the body of PUT /adapters/NAME.
type swapRequest struct {
	Dir string `json:"dir"`
}

// adapterBody describes an adapter.
type adapterBody struct {
	Name string `json:"name"`
	Dir  string `json:"dir"`
}

// routes adds the paths that list, add and remove adapters.
func (g *registry[M]) routes(s *Server, mux *http.ServeMux) {
	mux.HandleFunc("GET /adapters", s.handle(func(w http.ResponseWriter, _ *http.Request) error {
		list := []adapterBody{}
		for _, n := range g.all() {
			list = append(list, adapterBody{n.name, n.dir})
		}
		writeJSON(w, http.StatusOK, map[string]any{"adapters": list})
		return nil
	}))
	mux.HandleFunc("PUT /adapters/{name}", s.handle(func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("name")
		if err := cmp.Or(s.mayChange(name), g.mayChange(name)); err != nil {
			return err
		}
		raw, err := readBody(w, r)
		if err != nil {
			return err
		}
		var in swapRequest
		if err := decodeJSON(raw, &in); err != nil {
			return err
		}
		dir, err := below(s.AdapterRoot, in.Dir)
		if err != nil {
			return err
		}
		g.loading.Lock()
		defer g.loading.Unlock()
		if err := g.room(name, s.MaxAdapters); err != nil {
			return err
		}
		m, err := g.load(dir)
		if err != nil {
			return err
		}
		status := http.StatusCreated
		if g.put(&named[M]{name: name, dir: dir, model: m}) {
			status = http.StatusOK
		}
		writeJSON(w, status, adapterBody{name, dir})
		return nil
	}))
	mux.HandleFunc("DELETE /adapters/{name}", s.handle(func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("name")
		if err := cmp.Or(s.mayChange(name), g.mayChange(name)); err != nil {
			return err
		}
		g.loading.Lock()
		defer g.loading.Unlock()
		if !g.remove(name) {
			return refusal(http.StatusNotFound, "serve: there is no adapter %s; GET /adapters lists them", place.Quote(name))
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}))
}

// mayChange returns an error if requests cannot change the adapter with a name.
func (s *Server) mayChange(name string) error {
	if s.AdapterRoot == "" {
		return refusal(http.StatusForbidden, "serve: requests cannot change the adapters of this server; start it with "+
			"--adapter-root DIR")
	}
	return CheckName(name)
}

// below returns the directory that a request names, which must be in root also after its links are followed.
func below(root, dir string) (string, error) {
	outside := refusal(http.StatusBadRequest, "serve: load an adapter: dir is %s; want a directory below that of "+
		"--adapter-root, relative to it", place.Quote(dir))
	if !filepath.IsLocal(dir) {
		return "", outside
	}
	top, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(root, dir))
	if err != nil {
		return "", refusal(http.StatusBadRequest, "serve: load an adapter: dir is %s, which does not exist; want a "+
			"directory below that of --adapter-root", place.Quote(dir))
	}
	if rel, err := filepath.Rel(top, real); err != nil || !filepath.IsLocal(rel) {
		return "", outside
	}
	return filepath.Join(root, dir), nil
}
