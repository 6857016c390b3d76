import { Httpd } from './harness/httpd.ts';
import { fdsOf, statusOf } from './harness/processes.ts';
import { Load } from './harness/load.ts';
const httpd = await Httpd.start({ mpm: (process.env.MPM ?? 'event') as any, config: `
TSGIDaemonProcess site processes=2 env=CHAOS_FILE=/dev/null
TSGIScriptAlias /chaos @APPS@/chaos.js process-group=site
`, limits: process.env.MPM==='prefork'?undefined:'ServerLimit 16\nThreadsPerChild 16\nThreadLimit 16\nStartServers 2\nMaxRequestWorkers 64\nMinSpareThreads 16\nMaxSpareThreads 64\n' } as any);
httpd.log.allow(/./);
const sleep=(ms:number)=>new Promise(r=>setTimeout(r,ms));
const snap=(what:string)=>{ console.log('--',what); for (const p of [{pid:httpd.pid,title:'PARENT'},...httpd.processes()]) { const f=Object.values(fdsOf(p.pid)); const k:Record<string,number>={}; for(const v of f){const t=v.replace(/\[?\d+\]?.*/,'').slice(0,30);k[t]=(k[t]??0)+1;} console.log(p.pid,p.title.slice(0,24).padEnd(24),'fds',f.length,'rss',statusOf(p.pid)['VmRSS'],process.env.V?JSON.stringify(k):''); } };
for (let i=0;i<50;i++) await httpd.ask('/chaos/'); await sleep(1000); snap('start');
for (let part=0;part<3;part++){ const load=new Load({port:httpd.port,path:'/chaos',connections:16}); const want=4000; let g=0;
 while(load.results.length<want){ await sleep(200); if(load.results.length>want*(g+1)/11&&g<10){g++; await httpd.graceful();} }
 await load.stop(); await sleep(2500); console.log('results',load.results.length,'good',load.of('good').length,'aborted',load.of('aborted').length,'bad',load.of('status','truncated','foreign').length,'broken',load.of('broken').length); snap('part '+part); }
await httpd.stop();
