import './globals.css';

export const metadata = { title: 'mod_tsgi' };

export default function RootLayout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
