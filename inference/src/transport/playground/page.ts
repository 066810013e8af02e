/**
 * The page's document and style. Its scripts are compiled from inference/playground. Addresses are relative: a proxy may have the server
 * below a path of its own.
 */

/** Formats that some browsers do not count as images, audio or video are named. */
const IMAGES = 'image/*,.heic,.heif,.jxl';
const AUDIO = 'audio/*,video/*,.mkv,.flac,.opus,.ts';

export const PAGE = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Heimdex inference</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="playground/style.css">
<script type="module" src="playground/main.js"></script></head>
<body><main>
<h1>Heimdex inference</h1>
<p id="status" role="status">Connecting …</p>
<form id="token-form" hidden><label for="token">Token</label> <input id="token" type="password" autocomplete="off"> <button>Use</button></form>
<section id="section-speech" hidden aria-labelledby="speech-title"><h2 id="speech-title">Speech to text</h2>
<p class="drop"><label for="speech-file">Drop an audio or video file here, or choose one</label>
<input id="speech-file" type="file" accept="${AUDIO}"> <button id="record" type="button">Record</button></p>
<p id="speech-status" role="status"></p><video id="player" controls hidden></video>
<div id="words" role="group" aria-live="polite" aria-label="Transcript: each button plays from its time"></div></section>
<section id="section-vision" hidden aria-labelledby="search-title"><h2 id="search-title">Image search</h2>
<p class="drop"><label for="search-files">Drop images here, or choose some</label>
<input id="search-files" type="file" accept="${IMAGES}" multiple> <button id="clear" type="button" hidden>Remove all</button></p>
<form id="search-form"><label for="query">Query</label> <input id="query" required placeholder="a red fruit"> <button>Search</button></form>
<p id="search-status" role="status"></p><div id="images"></div></section>
<section id="section-faces" hidden aria-labelledby="faces-title"><h2 id="faces-title">Face detection</h2>
<p class="drop"><label for="faces-file">Drop an image here, or choose one</label>
<input id="faces-file" type="file" accept="${IMAGES}"></p>
<p id="faces-status" role="status"></p><canvas id="faces" role="img" hidden></canvas></section>
</main></body>
</html>
`;

export const STYLE = `:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#1b1f24;--dim:#5b6470;--line:#d5dae1;--accent:#0b5fcc;--error:#b3261e}
@media(prefers-color-scheme:dark){:root{--back:#14171b;--card:#1d2127;--text:#e8eaed;--dim:#a0a8b3;--line:#38404a;--accent:#7db4ff;--error:#ff8a80}}
*{box-sizing:border-box}[hidden]{display:none!important}
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back)}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}h1{margin:0;font-size:1.6rem}h2{margin:0 0 .75rem;font-size:1.15rem}
section{margin-top:1.25rem;padding:1.25rem;border:1px solid var(--line);border-radius:12px;background:var(--card)}
section.over{border-color:var(--accent);box-shadow:0 0 0 2px var(--accent)}
.drop{display:flex;flex-wrap:wrap;gap:.75rem;align-items:center;margin:0;padding:1rem;border:2px dashed var(--line);border-radius:8px}
.drop label{flex:1 1 100%}[role=status]{margin:.75rem 0;color:var(--dim);overflow-wrap:anywhere}[role=status]:empty{display:none}.error{color:var(--error)!important}
button,input,::file-selector-button{font:inherit;color:inherit}input[type=file]{max-width:100%;border-radius:8px;color:var(--dim)}form{display:flex;flex-wrap:wrap;gap:.5rem;align-items:center;margin-top:.75rem}
button,::file-selector-button,input:not([type=file]){padding:.4rem .8rem;border:1px solid var(--line);border-radius:8px;background:var(--back)}
::file-selector-button{margin-right:.75rem;color:var(--text)}
button,::file-selector-button{cursor:pointer}button:disabled{opacity:.5;cursor:not-allowed}button:hover:enabled,::file-selector-button:hover{border-color:var(--accent)}:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
#query{flex:1 1 12rem}video{display:block;width:100%;max-height:22rem;border-radius:8px}video.sound{height:3.5rem}canvas{max-width:100%}
#words{display:flex;flex-wrap:wrap;gap:.4rem}#words:not(:empty){margin-top:.75rem}#words button{padding:.15rem .5rem;text-align:left}#words small{margin-right:.4rem;color:var(--dim);font-variant-numeric:tabular-nums}
#images{display:grid;grid-template-columns:repeat(auto-fill,minmax(8rem,1fr));gap:.75rem}
figure{margin:0;font-size:.85rem;line-height:1.35;overflow-wrap:anywhere}figure img{display:block;width:100%;aspect-ratio:1;margin-bottom:.35rem;object-fit:cover;border-radius:8px;background:var(--back)}
figure.best img{outline:3px solid var(--accent);outline-offset:2px}figcaption small{display:block;color:var(--dim);font-variant-numeric:tabular-nums}
canvas{display:block;border-radius:8px;height:auto}
`;
