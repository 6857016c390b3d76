import { Httpd } from './harness/httpd.ts';
import { connect } from 'node:net';
import http from 'node:http';
import { fdsOf } from './harness/processes.ts';
const which = process.argv.slice(2);
const httpd = await Httpd.start({ modules: ['http2'], config: `Protocols h2c http/1.1
TSGIDaemonProcess site processes=2
TSGIScriptAlias / /tmp/attack/odd.js process-group=site
`});
httpd.log.allow(/./);
const sleep=(ms:number)=>new Promise(r=>setTimeout(r,ms));
async function rawAll(bytes: string, until: (s:string)=>boolean = ()=>false, ms=8000) {
  const c = await httpd.raw(bytes); const t=Date.now();
  while (Date.now()-t<ms && !until(c.received())) { if (await Promise.race([c.closed.then(()=>1), sleep(20).then(()=>0)])) break; }
  const s=c.received(); c.socket.destroy(); return s;
}
const short=(s:string)=>s.length>700? s.slice(0,350)+` …(${s.length})… `+s.slice(-250):s;
const T: Record<string,()=>Promise<void>> = {
 async http10(){ console.log(short(await rawAll('GET /echo?a HTTP/1.0\r\n\r\n'))); console.log(short(await rawAll('POST /echo HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabcGET /pid HTTP/1.0\r\n\r\n'))); },
 async pipelined(){ console.log(short(await rawAll('GET /echo?1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /echo?2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcPOST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\nGET /echo?4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))); },
 async head(){ for (const p of ['/headbody','/echo','/many?n=3']) console.log(short(await rawAll(`HEAD ${p} HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`))); },
 async nobody(){ for (const p of ['/204','/304']) console.log(short(await rawAll(`GET ${p} HTTP/1.1\r\nHost: x\r\n\r\nGET /echo?next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`))); },
 async hints(){ console.log(short(await rawAll(`GET /hints HTTP/1.1\r\nHost: x\r\n\r\nGET /hints HTTP/1.0\r\nHost: x\r\n\r\n`))); },
 async cookies(){ const a=await httpd.ask('/cookies'); console.log(a.headers['set-cookie']?.length); },
 async many(){ for (const n of [200,990,5000]) { const a=await new Promise<any>(r=>http.get({port:httpd.port,host:'127.0.0.1',path:`/many?n=${n}`,maxHeaderSize:1e6} as any,(res)=>{r([res.statusCode,res.rawHeaders.length/2]);res.resume()}).on('error',e=>r(e.message))); console.log(n,a);} },
 async large(){ for (const n of [8000,9000,60000,65536,200000,300000]) { const a=await new Promise<any>(r=>http.get({port:httpd.port,host:'127.0.0.1',path:`/large?n=${n}`,maxHeaderSize:1e6} as any,(res)=>{r([res.statusCode,String(res.headers['x-large']).length]);res.resume()}).on('error',e=>r(e.message))); console.log(n,a);} },
 async block(){ const t=Date.now(); const b=httpd.ask('/block').then(a=>console.log('block',a.status,a.body,Date.now()-t)); await sleep(100);
   const lat:number[]=[]; const bodies=new Set<string>(); let bad=0;
   await Promise.all(Array.from({length:8},async()=>{ while(Date.now()-t<2800){const u=Date.now(); const a=await httpd.ask('/pid'); lat.push(Date.now()-u); if(a.status!==200)bad++; bodies.add(a.body);} }));
   lat.sort((x,y)=>x-y); console.log('gets',lat.length,'bad',bad,'p50',lat[lat.length>>1],'slow>500',lat.filter(x=>x>500).length,'max',lat.at(-1),[...bodies]); await b;
   const t2=Date.now(); const b2=httpd.ask('/block').then(()=>{}); await sleep(50); const lp:number[]=[]; await Promise.all(Array.from({length:8},async()=>{ while(Date.now()-t2<2800){const u=Date.now(); const a=await httpd.ask('/echo',{method:'POST',body:'x'}); lp.push(Date.now()-u); if(a.status!==200)bad++; } })); lp.sort((x,y)=>x-y); console.log('posts',lp.length,'bad',bad,'slow>500',lp.filter(x=>x>500).length,'max',lp.at(-1)); await b2;
 },
 async upload50(){ for (const [p,te] of [['/noread',0],['/early',0],['/early',1],['/noread',1]] as const) {
   const s=connect({host:'127.0.0.1',port:httpd.port}); let got=''; s.on('data',d=>got+=d.toString('latin1')); s.on('error',e=>{got+='<<'+e.message+'>>'}); let closed=false; s.on('close',()=>closed=true);
   const size=50*1024*1024; const t=Date.now();
   s.write(`POST ${p} HTTP/1.1\r\nHost: x\r\n${te?'Transfer-Encoding: chunked':'Content-Length: '+size}\r\n\r\n`);
   const block=Buffer.alloc(65536,'u'); let sent=0; const ch=Buffer.concat([Buffer.from('10000\r\n'),block,Buffer.from('\r\n')]);
   while(sent<size && !closed){ sent+=65536; if(!s.write(te?ch:block)) await Promise.race([new Promise(r=>s.once('drain',r)),new Promise(r=>s.once('close',r)),sleep(15000)]); if (Date.now()-t>30000) break; }
   if(te&&!closed) s.write('0\r\n\r\n');
   if(!closed) s.write('GET /echo?next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
   for(let i=0;i<300&&!closed;i++) await sleep(20);
   console.log(p,te,'sent',sent,'ms',Date.now()-t,'closed',closed,short(got)); s.destroy();
 } },
 async silent(){ // many raw connections to the workers' sockets
   const parent=httpd.pid; const child=httpd.processes(/apache2/)[0]!.pid;
   const paths=Object.entries(fdsOf(child)).filter(([,v])=>/tsgi|run\//.test(v)&&!/log/.test(v)); console.log(paths);
   const conns:any[]=[]; let ended=0; 
   for (let i=0;i<1000;i++) { const p=paths[i%paths.length]; const c=connect({path:`/proc/${child}/fd/${p![0]}`}); c.on('error',()=>ended++); c.on('close',()=>ended++); conns.push(c); c.resume(); }
   await sleep(1500); console.log('ended',ended,'worker fds',(await httpd.ask('/fds')).body);
   const t=Date.now(); let bad=0; for(let i=0;i<200;i++) { if((await httpd.ask('/echo')).status!==200) bad++; } console.log('200 requests meanwhile',Date.now()-t,'bad',bad);
   await sleep(1000); console.log('ended',ended); conns.forEach(c=>c.destroy()); await sleep(300); console.log('fds after',(await httpd.ask('/fds')).body); console.log(httpd.log.matching(/TSGI/).slice(-6).join('\n'));
   void parent;
 },
 async garbage(){ const child=httpd.processes(/apache2/)[0]!.pid; const fd=Object.entries(fdsOf(child)).find(([,v])=>/run\//.test(v)&&!/log/.test(v))![0];
   const hdr=(len:number,type:number,fl=0)=>{const b=Buffer.alloc(8);b.writeUInt32LE(len);b[4]=type;b[5]=fl;return b;};
   const auth=(maj:number,min:number)=>Buffer.concat([hdr(36,1),Buffer.from([maj,min,0,0]),Buffer.alloc(32,7)]);
   const cases:Record<string,Buffer>={ truncated:auth(1,0).subarray(0,20), wrongSecret:auth(1,0), wrongVersion:auth(9,9), huge:hdr(0xffffffff,1), request:hdr(100,2), http:Buffer.from('GET / HTTP/1.0\r\n\r\n'), hugeBody:hdr(262145,3), zero:Buffer.alloc(4096), flags:hdr(36,1,255) };
   for (const [k,b] of Object.entries(cases)) { const c=connect({path:`/proc/${child}/fd/${fd}`}); let n=0, closed=false; c.on('data',d=>n+=d.length); c.on('error',e=>{n+=0;closed=true}); c.on('close',()=>closed=true); c.write(b); await sleep(250); console.log(k,'got',n,'closed',closed,'serves',(await httpd.ask('/echo')).status); c.destroy(); }
   // slow bytes
   const c=connect({path:`/proc/${child}/fd/${fd}`}); let closed=false; c.on('close',()=>closed=true); c.on('error',()=>{}); const a=auth(1,0); for (const x of a) { c.write(Buffer.from([x])); await sleep(5); } await sleep(100); console.log('slow closed',closed);
   console.log(httpd.log.matching(/TSGI0[5-9]/).slice(-12).join('\n'));
 },
};
{ const seen=new Set<string>(); for(let i=0;i<400&&seen.size<2;i++){ const as=await Promise.all([httpd.ask('/pid'),httpd.ask('/pid')]); as.forEach(a=>seen.add(a.body)); await sleep(10);} console.log('workers',[...seen]); }
try { for (const k of which.length?which:Object.keys(T)) { console.log('=== '+k); await T[k]!(); } } catch(e) { console.log(e); } finally { if(process.env.SHOWLOG) console.log(httpd.log.tail(60)); await httpd.stop(); }
